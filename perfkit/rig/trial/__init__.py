"""A trial becomes a result: fresh servers, real load, every process's CPU clock read at both ends of the window."""

from perfkit.rig.trial.here import Measured, measure
from perfkit.rig.trial.placement import Placement, place

__all__ = ["Measured", "Placement", "measure", "place"]
