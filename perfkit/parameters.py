"""Parameters as they come, from a notebook, papermill or a shell: read as the kind they must be, or refused by name."""

import math

from perfkit.errors import PlanError


def whole(name: str, value: object, least: int, example: str = "") -> int:
    """Read a whole number from `least` on."""
    number = _number(value)
    if number is None or not number.is_integer() or number < least:
        raise PlanError(
            f"{name}={value!r} is no whole number from {least}; {example or f'e.g. {name}={max(least, 10)}'}"
        )
    return int(number)


def seconds(name: str, value: object, least: float) -> float:
    """Read a number of seconds from `least` on."""
    number = _number(value)
    if number is None or number < least:
        raise PlanError(f"{name}={value!r} is no number of seconds from {least:g}; e.g. {name}=5")
    return number


def percent(name: str, value: object) -> float:
    """Read a part of a hundred from 0 to under 100."""
    number = _number(value)
    if number is None or not 0 <= number < 100:
        raise PlanError(f"{name}={value!r} is no number of per cent from 0 to under 100; e.g. {name}=3")
    return number


def rate(value: object) -> int | None:
    """Read a whole number of calls a second, or that there is none."""
    return None if value in (None, "", "None") else whole("rate", value, least=1)


def yes_or_no(name: str, value: object) -> bool:
    """Read True or False, in either case, or 1 or 0."""
    words = {"true": True, "false": False, "1": True, "0": False}
    if str(value).lower() not in words:
        raise PlanError(f"{name}={value!r} is neither True nor False; say {name}=True or {name}=False")
    return words[str(value).lower()]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
