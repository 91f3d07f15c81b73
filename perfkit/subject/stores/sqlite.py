"""Store `sqlite`: an embedded database with a write-ahead log, and a row a key, its count."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from perfkit.design.arms import Arm
from perfkit.subject.stores.contract import unusable, unwritable

NAME = "count.db"

APPLICATION, SCHEMA = 0x70657266, 2
"""What the file's header says of whose it is ("perf"), and which form its table has."""

CREATE = f"""
BEGIN EXCLUSIVE;
CREATE TABLE counter (key INTEGER PRIMARY KEY, count INTEGER NOT NULL);
INSERT INTO counter VALUES (0, 0);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {SCHEMA};
COMMIT;
"""  # noqa: S608 - two numbers of its own

KEEP = "INSERT INTO counter VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET count = excluded.count"


class SqliteStore:
    """A database that this process has for itself."""

    def __init__(self, path: Path, sync: str) -> None:
        self._path = path
        try:
            # Autocommit: each statement is a transaction. Any thread may commit; the pattern sees to it that one does.
            self._database = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
            try:
                self.counts = self._begin(sync)
            except BaseException:
                self._database.close()
                raise
        except sqlite3.Error as error:
            raise unusable("sqlite", path, error) from error

    def commit(self, changed: Mapping[int, int]) -> None:  # noqa: D102
        several = len(changed) > 1
        try:
            if several:
                self._database.execute("BEGIN")
            self._database.executemany(KEEP, changed.items())
            if several:
                self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise unwritable("sqlite", self._path, error) from error
        self.counts.update(changed)

    def close(self) -> None:  # noqa: D102
        self._database.close()

    def _begin(self, sync: str) -> dict[int, int]:
        database = self._database
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        if not database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(CREATE)
        ours = (APPLICATION, SCHEMA)
        found = tuple(database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
        if found != ours:
            raise unusable(
                "sqlite", self._path, f"its application and schema are {found}, not {ours}: another program's"
            )
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(f"PRAGMA synchronous = {sync}")
        database.execute("BEGIN EXCLUSIVE")
        database.execute("COMMIT")  # from here on it is this process's alone
        if (told := database.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            raise unusable("sqlite", self._path, f"it is damaged ({told})")
        counts: dict[int, int] = dict(database.execute("SELECT key, count FROM counter"))
        if 0 not in counts:
            raise unusable("sqlite", self._path, "it has no count of key 0, which each of them has")
        return counts


def open_store(folder: Path, arm: Arm) -> SqliteStore:
    """Open the database in a folder, or make one."""
    return SqliteStore(folder / NAME, arm.sync)
