"""What a study is: a question, whose parameters make plans."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any

from perfkit.design.parameters import PARAMETERS, Parameter
from perfkit.design.plan import Plan
from perfkit.errors import StoreError
from perfkit.record.load import load_plan

Plans = Mapping[str, Plan]
"""where in the campaign's folder a run goes → its plan"""

ONE = ""
"""Where the run of a study of one plan goes: it has the folder for itself."""

SHOW = "show"
"""The argument of a study's function that is no parameter: what is called with the folder after each block."""


WHERE = ("k6", "cluster", "server_on")
"""Parameters that say with what and on which machines plans are measured; they are no part of them."""


@dataclass(frozen=True, slots=True)
class Study:
    """A question: parameters that make plans. What it says is in `show`."""

    name: str
    """of its notebook too"""
    function: Callable[..., Path]
    """what users call; its signature has the parameters and their defaults"""
    build: Callable[..., Plans]
    """from what was meant by the parameters (all but WHERE, out, run and measure) to plans"""
    own: Mapping[str, Parameter] = field(default_factory=dict)
    """parameters that are read or explained in a way of their own"""
    example: Path | None = None
    """stored runs, drawn where nothing is to be measured; None: a study of one plan, which takes `run` instead"""
    foretell: Callable[[Plan], str] = lambda _: ""
    """what can be said of the answer before anything is measured"""

    @property
    def defaults(self) -> dict[str, object]:
        """Parameter → its default."""
        return {name: one.default for name, one in signature(self.function).parameters.items() if name != SHOW}

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters in order."""
        return {name: self.own.get(name) or PARAMETERS[name] for name in self.defaults}

    def settings(self, values: Mapping[str, object]) -> dict[str, Any]:
        """Return what was meant by values as they came, and by the defaults of the rest."""
        all_values = {**self.defaults, **values}
        return {name: parameter.read(name, all_values[name]) for name, parameter in self.parameters.items()}

    def plans(self, **values: object) -> Plans:
        """Return the plans that these parameters ask for; a PlanError names the first value that makes none."""
        return self.built(self.settings(values))

    def plan(self, **values: object) -> Plan:
        """Return the plan of a study of one."""
        return self.plans(**values)[ONE]

    def stored(self, settings: Mapping[str, Any]) -> Path | None:
        """Return the folder that is to be drawn; None where something is to be measured."""
        if self.example:
            return None if settings["measure"] else self.example
        return self.opened(settings["run"]) if settings["run"] else None

    def opened(self, folder: str | Path) -> Path:
        """Return the folder of a stored run; a StoreError where it is of another study."""
        plan = load_plan(folder)
        if plan.study != self.name:
            raise StoreError(
                f"run {folder} is a {plan.study}, not a {self.name}; draw it with notebooks/{plan.study}.ipynb"
            )  # fmt: skip
        return Path(folder)

    def built(self, settings: Mapping[str, Any]) -> Plans:
        """Return the plans of what was meant."""
        apart = (*WHERE, "out", "run", "measure")
        return self.build(**{name: one for name, one in settings.items() if name not in apart})
