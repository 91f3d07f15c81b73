"""The ways to guard a count: one module each; `design.engines` says which engine has which."""

from collections.abc import Callable

from perfkit.subject.counters import Counter
from perfkit.subject.patterns.combining import CombiningCounter
from perfkit.subject.patterns.input_q import InputQCounter
from perfkit.subject.patterns.leader import LeaderCounter
from perfkit.subject.patterns.mutex import MutexCounter
from perfkit.subject.state import State

PATTERNS: dict[str, Callable[[State, int], Counter]] = {
    "mutex": MutexCounter,
    "inputQ": InputQCounter,
    "combining": CombiningCounter,
    "leader": LeaderCounter,
}
"""name → what makes a counter of a state, which takes up to so many calls together (0: one at a time)"""
