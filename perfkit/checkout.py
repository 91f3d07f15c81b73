"""Where notebooks, k6 scripts, proto and stored runs are: in the checkout, or in the installed package."""

from pathlib import Path

PACKAGE = Path(__file__).parent

IS_CHECKOUT = (PACKAGE.parent / "notebooks" / "sweep.ipynb").exists()
"""Whether perfkit runs from its repository, and not from a wheel."""

ROOT = PACKAGE.parent if IS_CHECKOUT else PACKAGE / "_files"
"""What holds `notebooks`, `k6`, `proto` and `data`."""

RUNS = ROOT / "data" / "runs" if IS_CHECKOUT else Path.cwd() / "perfkit-runs"
"""Where runs go that name no folder."""
