"""Parameters of studies as options of commands: written as in notebooks, with a dash for each underscore."""

from collections.abc import Iterable, Mapping
from typing import Any

import click

from perfkit.design import reading
from perfkit.design.parameters import PARAMETERS, Parameter


class Switch(click.Option):
    """`--solo`, `--no-solo`, and as papermill would have it `--solo True`."""

    def __init__(self, name: str, text: str, default: object) -> None:
        super().__init__(
            [f"--{_dashed(name)}", name], is_flag=False, flag_value="True", metavar="", default=None,
            type=_TYPED, help=f"{text.removeprefix('True: ')}  [default: {_dashed(name if default else f'no-{name}')}]",
        )  # fmt: skip
        self.secondary_opts = [f"--no-{_dashed(name)}"]

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the two switches, and what they do."""
        record = super().get_help_record(ctx)
        return (f"{self.opts[0]} / {self.secondary_opts[0]}", record[1]) if record else None


class Command(click.Command):
    """A command whose switches can be turned off."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read `--no-solo` as `--solo=False`."""
        off = {one.secondary_opts[0]: f"{one.opts[0]}=False" for one in self.params if isinstance(one, Switch)}
        return super().parse_args(ctx, [off.get(word, word) for word in args])


class _Typed(click.ParamType[Any]):
    """A value as papermill reads that of -p."""

    name = "value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        return typed(value) if isinstance(value, str) else value


_TYPED = _Typed()


def typed(text: str) -> Any:
    """Return what papermill makes of a text behind -p."""
    words = {"True": True, "true": True, "False": False, "false": False, "None": None}
    if text in words:
        return words[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def options(parameters: Mapping[str, Parameter], defaults: Mapping[str, object]) -> list[click.Parameter]:
    """Return an option for each parameter; what is not given stays None."""
    return [one for name, parameter in parameters.items() for one in _option(name, parameter, defaults[name])]


def _option(name: str, parameter: Parameter, default: object) -> Iterable[click.Parameter]:
    if parameter.read is reading.yes_or_no:
        yield Switch(name, parameter.help, default)
        return
    shown = f"  [default: {default}]" if default not in (None, "") else ""
    yield click.Option([f"--{_dashed(name)}", name], type=_TYPED, default=None, help=parameter.help + shown)


def where() -> list[click.Parameter]:
    """Return options for what measures, and where."""
    names = ("k6", "cluster", "server_on")
    return options({name: PARAMETERS[name] for name in names}, {"k6": "k6", "cluster": "", "server_on": ""})


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those options that were given."""
    return {name: value for name, value in values.items() if value is not None}


def _dashed(name: str) -> str:
    return name.replace("_", "-")
