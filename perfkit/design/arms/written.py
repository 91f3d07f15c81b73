"""Arms as they are written: `engine/pattern?option=value&…`, a command of one's own, a server that runs already."""

import re
import shlex
from collections.abc import Sequence
from typing import Any

from perfkit.design.arms.arm import FOREIGN, FOREIGN_OPTIONS, OPTIONS, RUNNING, RUNNING_OPTIONS, Arm
from perfkit.design.engines import (
    COMMON_OPTIONS,
    DEFAULT_ENGINE,
    ENGINES,
    GROUPING,
    MEMORY,
    PATTERNS,
    SYNCS,
    install,
    installed_loops,
)
from perfkit.design.factors import FACTORS
from perfkit.errors import PlanError


def parse_arm(text: str, workers: int) -> Arm:
    """Return the arm written `engine/pattern?option=value&…`, `pattern`, or as one of the user's own.

    Those are `exec:command {port}`, `exec?folder=DIR&env=FILE:command {port}` and `addr:HOST:PORT`.

    `workers` is for an arm that does not say. Patterns may be written in any case. An engine that is not installed is
    refused with the command that installs it.
    """
    if re.match(rf"{FOREIGN}[:?]", text.strip()):
        return _foreign(text.strip())
    if text.strip().startswith(f"{RUNNING}:"):
        return _running(text.strip())
    subject, _, query = text.strip().partition("?")
    engine, _, pattern = subject.rpartition("/")
    engine = engine or DEFAULT_ENGINE
    pattern = {known.lower(): known for known in PATTERNS}.get(pattern.lower(), "")
    options = read_options(query)
    if engine not in ENGINES or not pattern or set(options) - set(OPTIONS):
        raise PlanError(
            f"arm {text!r} is unknown; an arm is a pattern ({' or '.join(PATTERNS)}), with an engine "
            f"({', '.join(ENGINES)}) and options ({', '.join(OPTIONS)}) if wanted, as in {DEFAULT_ENGINE}/mutex?"
            f"workers=4, or a command of your own, as in '{FOREIGN}:./server --port {{port}}', or {RUNNING}:HOST:PORT"
        )
    facts = ENGINES[engine]
    if pattern not in facts.options:
        raise PlanError(
            f"arm {text!r}: engine {engine} has no {pattern}: {facts.why_not}; it has {', '.join(facts.options)}"
        )
    own = facts.options[pattern]
    if strange := set(options) - {*own, *COMMON_OPTIONS}:
        raise PlanError(
            f"arm {text!r}: {engine}/{pattern} has no option {min(strange)!r}; it has {', '.join(own + COMMON_OPTIONS)}"
        )
    if not facts.is_installed:
        raise PlanError(f"arm {text!r}: engine {engine} is not installed; {install(engine)}")
    if pattern in facts.lone_owner and "batch" in options and (lone := {"workers", "shards", "reads"} & set(options)):
        raise PlanError(
            f"arm {text!r}: with batch, one owner does everything, so there are no {min(lone)}; leave out one"
        )
    values: dict[str, Any] = {
        name: FACTORS[name].read(f"in arm {text!r}, {name}", value) for name, value in options.items()
    }
    if "loop" in own:
        values.setdefault("loop", installed_loops()[0])
    if pattern in GROUPING:
        values.setdefault("batch", GROUPING[pattern])
    if "workers" in own and not (pattern in facts.lone_owner and "batch" in values):
        values.setdefault("workers", workers)
    return Arm(engine, pattern, **_stored(text, values))


def read_options(query: str) -> dict[str, str]:
    """Return name → value of what is written `name=value&…`."""
    return dict(part.partition("=")[::2] for part in query.split("&")) if query else {}


def _stored(text: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return options with what is meant by those of the store; a PlanError where they contradict each other."""
    store = values.get("store", MEMORY)
    if "sync" in values and store != "sqlite":
        raise PlanError(f"arm {text!r}: sync is SQLite's, and store={store}; say store=sqlite, or leave sync out")
    if values.get("sync_us") and store != MEMORY:
        raise PlanError(f"arm {text!r}: sync_us simulates a device, and store={store} has a real one; leave out one")
    return {"sync": SYNCS[0], **values} if store == "sqlite" else values


def parse_arms(arms: object, workers: int) -> tuple[Arm, ...]:
    """Return several arms, written as a list or with commas between; none twice."""
    names = split_arms(arms) if isinstance(arms, str) else arms
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise PlanError(f"arms={arms!r} names no arm; write them as in arms='mutex,inputQ'")
    parsed = tuple(parse_arm(name, workers) for name in names)
    if len(set(parsed)) < len(parsed):
        raise PlanError(f"arms={arms!r} names an arm twice; name each once, and repeats=N for more blocks")
    return parsed


def split_arms(text: str) -> list[str]:
    """Return the arms in a text with commas between; a comma that no arm follows is the command's."""
    found: list[str] = []
    for part in text.split(","):
        is_arm = re.match(
            rf"\s*({FOREIGN}[:?]|{RUNNING}:|({'|'.join(ENGINES)})/|({'|'.join(PATTERNS)})\b)", part, re.IGNORECASE
        )
        if found and re.match(rf"\s*{FOREIGN}[:?]", found[-1]) and not is_arm:
            found[-1] += f",{part}"
        else:
            found.append(part)
    return found


def _foreign(written: str) -> Arm:
    head, _, command = written.partition(":")
    command, options = command.strip(), read_options(head.partition("?")[2])
    if strange := set(options) - set(FOREIGN_OPTIONS):
        raise PlanError(f"arm {written!r} has no option {min(strange)!r}; it has {', '.join(FOREIGN_OPTIONS)}")
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise PlanError(f"arm {written!r} can't be read as a command: {error}") from error
    if not words or not any("{port}" in word for word in words):
        raise PlanError(
            f"arm {written!r} does not say where the port goes; write {{port}} there, "
            f"as in '{FOREIGN}:./server --port {{port}}'"
        )
    return Arm(FOREIGN, "", command=command, folder=options.get("folder", ""), env=options.get("env", ""))


def _running(text: str) -> Arm:
    address, _, query = text.removeprefix(f"{RUNNING}:").partition("?")
    host, _, port = address.rpartition(":")
    options = read_options(query)
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise PlanError(f"arm {text!r} names no server that runs; write {RUNNING}:HOST:PORT, as in {RUNNING}:db7:50055")
    if strange := set(options) - set(RUNNING_OPTIONS):
        raise PlanError(f"arm {text!r} has no option {min(strange)!r}; it has {', '.join(RUNNING_OPTIONS)}")
    if ("cert" in options) != ("key" in options) or ("cert" in options and "ca" not in options):
        raise PlanError(f"arm {text!r}: cert and key go together, and with ca; name all three, or ca alone")
    return Arm(RUNNING, "", command=f"{address}?{query}".rstrip("?"))
