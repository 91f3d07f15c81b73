"""Values as they come, from a notebook, papermill or a shell: read as the kind they must be, or refused by name."""

import math
from collections.abc import Callable, Iterable, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from perfkit.errors import PlanError

Reader = Callable[[str, object], Any]
"""(name, value as it came) → what was meant; a PlanError names the value and what to write instead"""


def whole(least: int, example: str = "", most: int = 0) -> Reader:
    """Return what reads whole numbers from `least` on, and up to `most` where that is not 0."""

    def read(name: str, value: object) -> int:
        number = _number(value)
        if number is None or not number.is_integer() or number < least:
            hint = example or f"e.g. {_short(name)}={max(least, 10)}"
            raise PlanError(f"{name}={value!r} is no whole number from {least}; {hint}")
        if most and number > most:
            raise PlanError(f"{name}={value!r} is over {most:,}; take fewer")
        return int(number)

    return read


def number(least: float, most: float) -> Reader:
    """Return what reads numbers from `least` to `most`."""

    def read(name: str, value: object) -> float:
        found = _number(value)
        if found is None or not least <= found <= most:
            raise PlanError(f"{name}={value!r} is no number from {least:g} to {most:g}; e.g. {_short(name)}=1")
        return found

    return read


def seconds(least: float) -> Reader:
    """Return what reads numbers of seconds from `least` on."""

    def read(name: str, value: object) -> float:
        number = _number(value)
        if number is None or number < least:
            raise PlanError(f"{name}={value!r} is no number of seconds from {least:g}; e.g. {_short(name)}=5")
        return number

    return read


def percent(name: str, value: object) -> float:
    """Read a part of a hundred from 0 to under 100."""
    number = _number(value)
    if number is None or not 0 <= number < 100:
        raise PlanError(f"{name}={value!r} is no number of per cent from 0 to under 100; e.g. {_short(name)}=3")
    return number


def optional(reader: Reader) -> Reader:
    """Return what reads the same, or that there is none."""

    def read(name: str, value: object) -> Any:
        return None if value in (None, "", "None") else reader(name, value)

    return read


def zero_or(reader: Reader) -> Reader:
    """Return what reads the same, or 0."""

    def read(name: str, value: object) -> Any:
        return 0 if value in (0, "0") and not isinstance(value, bool) else reader(name, value)

    return read


def yes_or_no(name: str, value: object) -> bool:
    """Read True or False, in either case, or 1 or 0."""
    words = {"true": True, "false": False, "1": True, "0": False}
    if str(value).lower() not in words:
        raise PlanError(f"{name}={value!r} is neither True nor False; say {name}=True or {name}=False")
    return words[str(value).lower()]


def one_of(*words: str) -> Reader:
    """Return what reads one of these words."""

    def read(name: str, value: object) -> str:
        if value not in words:
            raise PlanError(f"{name}={value!r} is none of {', '.join(words)}; say {name}={words[0]}")
        return str(value)

    return read


def several(one: Reader) -> Reader:
    """Return what reads a list, or text with commas, of different things."""

    def read(name: str, value: object) -> tuple[Any, ...]:
        parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        parts = parts if isinstance(parts, list | tuple) else [parts]
        found = tuple(one(name, part) for part in parts)
        if not found or len(set(found)) < len(found):
            raise PlanError(f"{name}={value!r} must name each once, and at least one")
        return found

    return read


def path(name: str, value: object) -> str:
    """Read a path, or the name of a program: ~ is the user's home."""
    if not str(value).startswith("~"):
        return str(value)
    try:
        return str(Path(str(value)).expanduser())
    except (RuntimeError, ValueError) as error:  # nobody of that name, or no name at all
        raise PlanError(f"{name}={value!r} begins with the home of a user who is not there; write the path") from error


def cluster(name: str, value: object) -> object:
    """Read what is called a cluster; in Python also a Dask Client or Cluster, as it is."""
    return path(name, value).strip() if isinstance(value, str) else value


def as_it_is(_name: str, value: object) -> object:
    """Leave the reading to `design.arms`, which needs the number of workers for it."""
    return value


def levels(one: Reader, ladder: Sequence[int]) -> Reader:
    """Return what reads levels of a factor: a list, or text with commas, means just those.

    A single number is a ceiling: the levels of `ladder` up to it, and itself.
    """

    def read(name: str, value: object) -> tuple[int, ...]:
        if isinstance(value, str) and ("," in value or value.strip().startswith("[")):
            value = [part for part in value.strip().strip("[]()").split(",") if part.strip()]
        if isinstance(value, str) or not isinstance(value, Iterable):
            highest = one(name, value)
            return (*(level for level in ladder if level < highest), highest)
        several = tuple(one(name, level) for level in value)
        if not several:
            raise PlanError(f"{name}=[] names no level; give at least one, as in {name}=[10, 50]")
        if len(set(several)) < len(several):
            raise PlanError(
                f"{name}={list(several)} names a level twice; name each once, and repeats=N for more blocks"
            )
        return tuple(sorted(several))

    return read


def _short(name: str) -> str:
    """Return the parameter's own name, of one that is `in arm …, workers`."""
    return name.rpartition(" ")[2]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, Real | str):  # NumPy's numbers are Real
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
