"""Where the checkout is that perfkit is installed from: its notebooks, its k6 script and its data are used in place."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
