"""h2load, nghttp2's generator of raw HTTP/2: a second instrument. Its log has a line a call, its end a summary."""

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from perfkit._proto import counter_pb2
from perfkit.design.factors import H2LOAD
from perfkit.design.plan import Load
from perfkit.errors import LoadError
from perfkit.record.calls import Calls, Distribution, enough_samples
from perfkit.rig.generators.contract import (
    AFTER_S,
    PERCENTILES,
    Part,
    Program,
    RunningLoad,
    Target,
    Window,
    opening,
    said_by,
)
from perfkit.rig.process import Place, child

INSTALL = "install it (apt install nghttp2-client, brew install nghttp2, conda install nghttp2) or use generator=k6"

METHOD = "/counter.incrementCounter/increment"

CHUNK = 200_000
"""Lines of the log that are in memory at once."""

REPLY = "Incremented value is {}"
"""The wire contract's words, whose length tells how many calls were answered with a reply."""

UNSURE = 1
"""So many calls may seem to have had no reply, where counts have one digit more towards the end."""


def is_installed() -> bool:
    """Return whether there is an h2load on PATH."""
    return shutil.which("h2load") is not None


def find() -> Program:
    """Return h2load as found on PATH; a LoadError says why there is none to use."""
    path = shutil.which("h2load")
    if path is None:
        raise LoadError(f"generator=h2load: there is no program h2load on PATH; {INSTALL}")
    said = said_by(path, "--version", f"generator=h2load: {path!r}", INSTALL)
    version = re.match(r"h2load nghttp2/([\d.]+)", said)
    if version is None:
        raise LoadError(f"generator=h2load: {path!r} says no version, but {said.strip()[:80]!r}; {INSTALL}")
    return Program(H2LOAD, path, version[1])


class RunningH2load(RunningLoad):
    """h2load at work on one server."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        log: IO[bytes],
        calls: Path,
        window: Window,
        vus: int,
        since_s: float,
        percentiles: Sequence[str],
    ) -> None:
        super().__init__(H2LOAD, process, log, 1)
        self._calls, self._window, self._vus, self._since_s = calls, window, vus, since_s
        self._percentiles = percentiles
        self._summary: dict[str, Any] = {}

    def window(self) -> Window:
        """Return when the window opens and closes: h2load has begun, and knows nothing of it."""
        return self._window

    def answered(self) -> int:
        """Return how many calls were answered, at most one a VU: each begins with one."""
        with self._calls.open("rb") as file:
            return min(self._vus, file.read(self._vus * 50).count(b"\n"))

    def finish(self, patience_s: float) -> dict[str, Any]:
        """Wait for the end and return what h2load says of it."""
        self._wait(patience_s)
        self._summary = summary(self._output())
        if not self._summary:
            self._refuse_result()
        return self._summary

    @property
    def reply_bytes(self) -> int:
        """The length of all replies."""
        return int(self._summary["reply_bytes"])

    def calls(self, server: int) -> Calls:  # noqa: ARG002 - it has one
        """Return what h2load counted of its server.

        It sees HTTP's status and not gRPC's, which stands in a trailer: a call that failed there has no reply.
        """
        said, (statuses, sent, took_us) = self._summary, read(self._calls, self._window)
        acknowledged_total = statuses.pop(200, 0)
        failed = {f"http {status}": count for status, count in statuses.items() if status > 0}
        if broken := said["failed"] - sum(failed.values()):
            failed["broken"] = broken
        return Calls(
            acknowledged=len(took_us),
            failed_by_status=failed,
            acknowledged_total=acknowledged_total,
            sent=sent,
            sent_total=said["started"],
            dropped_total=0,
            late_connections=int(self._since_s + said["last_first_byte_s"] > self._window.from_ms / 1e3),
            data_sent_bytes=None,
            data_received_bytes=None,
            latency=distribution(took_us, self._percentiles),
            iteration=distribution(np.empty(0)),
        )


@contextmanager
def running(
    h2load: Program,
    targets: Sequence[Target],
    load: Load,
    place: Place,
    opens_at_ms: int | None = None,
    part: Part | None = None,
) -> Iterator[RunningH2load]:
    """Load the one target with a connection a VU, each with one call at a time, offered at `rate` if there is one.

    With a `part`, it has so many of them.
    """
    (target,) = targets
    from_ms = opens_at_ms or opening(load, 1)
    window = Window(from_ms, from_ms + round(load.duration_s * 1e3))
    with tempfile.TemporaryDirectory(prefix="perfkit-") as folder, tempfile.TemporaryFile() as log:
        body, calls = Path(folder, "body"), Path(folder, "calls")
        message = counter_pb2.incrementBy(value=1).SerializeToString()
        body.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)  # gRPC's prefix: not compressed, length
        calls.touch()
        since_s = time.time()
        vus = part.share(load.vus) if part else load.vus
        argv = [
            h2load.path, f"--clients={vus}", "--max-concurrent-streams=1", "--threads=1",
            f"--duration={round((window.until_ms / 1e3 + AFTER_S - since_s) * 1e3)}ms",
            "--header=content-type: application/grpc", "--header=te: trailers",
            f"--data={body}", f"--log-file={calls}",
            *([f"--rps={load.rate / load.vus:g}"] if load.rate else []),
            f"http://{target.address}{METHOD}",
        ]  # fmt: skip
        with child(argv, place, stdout=log, stderr=subprocess.STDOUT) as process:
            yield RunningH2load(process, log, calls, window, vus, since_s, part.percentiles if part else ())


def summary(text: str) -> dict[str, Any]:
    """Return what h2load's last lines say; empty where they are not there."""
    requests = re.search(r"requests: \d+ total, (\d+) started, (\d+) done, \d+ succeeded, (\d+) failed", text)
    data = re.search(r"traffic: .*\((\d+)\) data", text)
    first_byte = re.search(r"time to 1st byte: +\S+ +([\d.]+)(us|ms|s)", text)
    if not requests or not data or not first_byte:
        return {}
    return {
        "started": int(requests[1]),
        "done": int(requests[2]),
        "failed": int(requests[3]),
        "reply_bytes": int(data[1]),
        "last_first_byte_s": float(first_byte[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[first_byte[2]],
    }


def read(log: Path, window: Window) -> tuple[dict[int, int], int, np.ndarray]:
    """Return status → calls of the whole log; how many started in the window; and how long those took that were OK, µs.

    A log of a million lines is read in parts.
    """
    statuses: dict[int, int] = {}
    sent, took = 0, [np.empty(0)]
    names = ("start_us", "status", "took_us")
    for part in pd.read_csv(log, sep="\t", names=names, dtype=np.int64, chunksize=CHUNK) if log.stat().st_size else ():
        for status, count in zip(*np.unique(part["status"].to_numpy(), return_counts=True), strict=True):
            statuses[int(status)] = statuses.get(int(status), 0) + int(count)
        inside = part["start_us"].between(window.from_ms * 1000, window.until_ms * 1000, inclusive="left")
        sent += int(inside.sum())
        took.append(part.loc[inside & (part["status"] == 200), "took_us"].to_numpy(float))
    return statuses, sent, np.concatenate(took)


def distribution(took_us: np.ndarray, percentiles: Sequence[str] = ()) -> Distribution:
    """Return the distribution of durations, in ms, with the percentiles that they carry, or all of those named."""
    if not len(took_us):
        return Distribution(0, None, None, None, {})
    wanted = percentiles or [one for one in PERCENTILES if enough_samples(float(one), len(took_us))]
    at_ms = np.percentile(took_us, list(map(float, wanted))) / 1e3 if wanted else []
    return Distribution(
        len(took_us),
        float(took_us.mean()) / 1e3,
        float(took_us.min()) / 1e3,
        float(took_us.max()) / 1e3,
        dict(zip(wanted, map(float, at_ms), strict=True)),
    )


def without_lost_replies(calls: Calls, final_count: int, reply_bytes: int) -> Calls:
    """Return the calls, with those as failed that had HTTP status 200 and no reply, by the length of all replies."""
    no_reply = without_reply(calls.acknowledged_total, final_count, reply_bytes)
    if no_reply <= UNSURE:
        return calls
    return replace(
        calls,
        failed_by_status={**calls.failed_by_status, "trailer": no_reply},
        acknowledged_total=calls.acknowledged_total - no_reply,
    )


def without_reply(answered: int, final_count: int, reply_bytes: int) -> int:
    """Return how many of the calls with HTTP status 200 had no reply, by the length of all replies.

    The calls that the server has counted and h2load has no reply of are the last ones (cut off), or failed ones; a
    reply says the count, so its length is known.
    """
    everything, last = sum_of_replies(final_count), reply_length(final_count)
    unseen = round((everything - reply_bytes) / last)
    replied = final_count - max(0, unseen)
    return answered - replied


def sum_of_replies(count: int) -> int:
    """Return the length of the replies with the counts from 1 on, in bytes."""
    total, low = 0, 1
    while low <= count:
        high = min(count, low * 10 - 1)
        total += (high - low + 1) * reply_length(low)
        low *= 10
    return total


def reply_length(count: int) -> int:
    """Return the length of a reply, in bytes: gRPC's prefix of 5, protobuf's of 2, and the words."""
    return 7 + len(REPLY.format(count))
