"""What can go wrong, done to the real thing.

`docs/faults.md` is the table of what is expected; `test_faults.py` runs each fault and compares.
"""

# Imported for what they add to FAULTS, in the order of the table.
from tests.faults import bad_input, folders, mid_run, turns, foreign, stores, strangers, wire  # noqa: F401, I001
from tests.faults.bench import FAULTS, Bench

__all__ = ["FAULTS", "Bench"]
