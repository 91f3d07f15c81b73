"""Arms: what can be put under test, and how it is written."""

from perfkit.design.arms.arm import FOREIGN, RUNNING, Arm, refuse_mixed, told_apart, watched
from perfkit.design.arms.written import parse_arm, parse_arms, read_options, split_arms

__all__ = [
    "FOREIGN",
    "RUNNING",
    "Arm",
    "parse_arm",
    "parse_arms",
    "read_options",
    "refuse_mixed",
    "split_arms",
    "told_apart",
    "watched",
]
