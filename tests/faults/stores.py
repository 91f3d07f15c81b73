"""Stores: full, locked, damaged, another's, or no disk at all."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from perfkit._proto import counter_pb2
from perfkit.design.arms import parse_arm
from perfkit.errors import ServerError
from perfkit.subject.serve import state_of
from perfkit.subject.stores import append, sqlite
from tests.faults.bench import QUICK, TEST, Bench, fault, fill
from tests.support import ROOT
from tests.support.servers import served

FILES = {"sqlite": sqlite.NAME, "append": append.NAME}

COUNT = 40
"""What each store holds before the fault is done."""


@fault("a store in memory (`store=sqlite` with a run folder on tmpfs)", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    bench.out = Path("/dev/shm") / f"perfkit-{os.getpid()}"  # noqa: S108 - the folder that must be refused
    return bench.refused(arms="mutex?store=sqlite")


def _full(bench: Bench, store: str) -> tuple[str, str]:
    disk, image = bench.folder / "disk", bench.folder / "image"
    disk.mkdir()
    image.write_bytes(bytes(4_000_000))
    made = subprocess.run(["mkfs.ext4", "-q", image], capture_output=True, check=False)
    mounted = made.returncode == 0 and subprocess.run(
        ["mount", "-o", "loop", image, disk], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("no small disk can be made and mounted here (mkfs.ext4, mount -o loop): that takes root")
    try:
        return _filled(disk, store)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def _filled(disk: Path, store: str) -> tuple[str, str]:
    arm, files = f"threads/mutex?store={store}", disk / "store"
    with served(arm, files) as (stub, server):
        told = [stub.increment(counter_pb2.incrementBy(value=1)).count for _ in range(COUNT)]
        filler = fill(disk)
        try:
            while len(told) < 1_000_000:
                told.append(stub.increment(counter_pb2.incrementBy(value=1)).count)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.INTERNAL  # noqa: PT017 - what comes before it may succeed
        _, said = server.communicate(timeout=120)
    assert server.returncode == 2
    filler.unlink()
    state = state_of(parse_arm(arm, 1), files)
    state.close()
    assert state.first == told[-1], "what was acknowledged, and no more"
    return said.strip(), "all that was acknowledged"


@fault("the disk of a store is full (`store=sqlite`)")
def _(bench: Bench) -> tuple[str, str]:
    return _full(bench, "sqlite")


@fault("the disk of a store is full (`store=append`)")
def _(bench: Bench) -> tuple[str, str]:
    return _full(bench, "append")


@contextmanager
def _counted(bench: Bench, store: str) -> Iterator[Path]:
    """Give the file of a store that holds COUNT."""
    files = bench.disk / "store"
    state = state_of(parse_arm(f"mutex?store={store}", 1), files)
    for _ in range(COUNT):
        state.add(1, lambda: True)
        state.commit(1)
    state.close()
    yield files / FILES[store]


def _damaged(bench: Bench, store: str, damage: Callable[[Path], None]) -> tuple[str, str]:
    """Do something to the file; it must be refused in one line, and left as it is."""
    with _counted(bench, store) as file:
        damage(file)
        before = file.read_bytes()
        with pytest.raises(ServerError) as told:
            state_of(parse_arm(f"mutex?store={store}", 1), file.parent)
        assert file.read_bytes() == before
    return str(told.value), "the file as it was"


def _written(at: int, what: bytes) -> Callable[[Path], None]:
    def write(file: Path) -> None:
        content = file.read_bytes()
        at_ = at % len(content)
        file.write_bytes(content[:at_] + what + content[at_ + len(what) :])

    return write


def _statement(text: str) -> Callable[[Path], None]:
    def execute(file: Path) -> None:
        with sqlite3.connect(file) as database:
            database.executescript(text)
        database.close()

    return execute


@fault("a database that is none", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    return _damaged(bench, "sqlite", _written(0, b"no database at all"))


@fault("a database with a damaged page", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    return _damaged(bench, "sqlite", _written(4096, bytes([255]) * 2000))


@fault("a database of another schema", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    return _damaged(bench, "sqlite", _statement("PRAGMA user_version = 7"))


@fault("a database of another program", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    return _damaged(bench, "sqlite", _statement("PRAGMA application_id = 0; CREATE TABLE thesis (chapter)"))


@fault("a log of another version", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    return _damaged(bench, "append", _written(0, b"perfkit count 9\n"))


@fault("a log with a damaged record in its middle", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    return _damaged(bench, "append", _written(len(append.MAGIC) + 5, b"\xff\xff"))


@fault("a log with a torn last record", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    with _counted(bench, "append") as file:
        with file.open("ab") as end:
            end.write(b"\x29\x00\x00")
        state = state_of(parse_arm("mutex?store=append", 1), file.parent)
        state.close()
    assert state.first == COUNT
    return "it is cut off", f"all {state.first} that were acknowledged"


def _locked(bench: Bench, store: str) -> tuple[str, str]:
    arm = f"threads/mutex?store={store}"
    with _counted(bench, store) as file, served(arm, file.parent) as (stub, _):
        second = subprocess.run(
            [sys.executable, "-m", "perfkit", "serve", f"--arm={arm}", "--port=0", f"--folder={file.parent}"],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert (second.returncode, second.stdout) == (2, "")
        count = stub.increment(counter_pb2.incrementBy(value=1)).count
    assert count == COUNT + 1
    return second.stderr.strip(), "the first server, which went on with its count"


@fault("a second server on a store's files (`store=sqlite`)")
def _(bench: Bench) -> tuple[str, str]:
    return _locked(bench, "sqlite")


@fault("a second server on a store's files (`store=append`)", TEST)
def _(bench: Bench) -> tuple[str, str]:
    return _locked(bench, "append")
