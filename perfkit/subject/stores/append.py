"""Store `append`: a log, to which each commit appends the counts that changed, and is there when fsync has returned.

The file begins with MAGIC; then come records of a count, its key and the CRC of both. A last record that is torn was
never acknowledged, and is cut off; any other that is wrong is damage, and refused.
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

from perfkit.design.arms import Arm
from perfkit.errors import ServerError
from perfkit.subject.stores.contract import unusable, unwritable

NAME = "count.log"

MAGIC = b"perfkit count 2\n"

COUNT, CRC = struct.Struct("<qi"), struct.Struct("<I")
RECORD = COUNT.size + CRC.size


class AppendLog:
    """A log that this process alone appends to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                self.counts = self._begin()
            except BaseException:
                os.close(self._file)
                raise
        except OSError as error:
            raise unusable("append", path, error.strerror) from error

    def commit(self, changed: Mapping[int, int]) -> None:  # noqa: D102
        try:
            self._write(b"".join(_record(count, key) for key, count in changed.items()))
            os.fsync(self._file)
        except OSError as error:
            raise unwritable("append", self._path, error.strerror) from error
        self.counts.update(changed)

    def close(self) -> None:  # noqa: D102
        os.close(self._file)

    def _begin(self) -> dict[int, int]:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ServerError(
                f"store append: {self._path} is in use by another process; end that, or name another --folder"
            ) from error
        content = self._path.read_bytes()
        if len(content) < len(MAGIC) and MAGIC.startswith(content):  # new, or torn before anything was in it
            os.ftruncate(self._file, 0)
            self._write(MAGIC)
            os.fsync(self._file)
            _sync_folder(self._path.parent)
            return {}
        if not content.startswith(MAGIC):
            raise unusable("append", self._path, f"it begins otherwise than {MAGIC!r}: it is no log of this version")
        return self._read(content)

    def _read(self, content: bytes) -> dict[int, int]:
        """Return each key's last count; cut off a torn record behind them."""
        counts: dict[int, int] = {}
        end = len(MAGIC)
        for start in range(len(MAGIC), len(content), RECORD):
            record = content[start : start + RECORD]
            if len(record) < RECORD or record != _record(*COUNT.unpack_from(record)):
                if start + RECORD < len(content):
                    raise unusable(
                        "append", self._path, f"the record at byte {start} is damaged, and it is not the last"
                    )
                break
            count, key = COUNT.unpack_from(record)
            counts[key] = count
            end = start + RECORD
        if end < len(content):
            os.ftruncate(self._file, end)
        return counts

    def _write(self, content: bytes) -> None:
        while content:
            content = content[os.write(self._file, content) :]


def open_store(folder: Path, _: Arm) -> AppendLog:
    """Open the log in a folder, or begin one."""
    return AppendLog(folder / NAME)


def _record(count: int, key: int) -> bytes:
    packed = COUNT.pack(count, key)
    return packed + CRC.pack(zlib.crc32(packed))


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file durable too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
