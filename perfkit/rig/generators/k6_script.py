"""What counter.js, and own.js beside it, are told of a load."""

import json
from collections.abc import Sequence
from pathlib import Path

from perfkit.checkout import ROOT
from perfkit.design.plan import Load
from perfkit.rig import process
from perfkit.rig.generators.contract import AFTER_S, PERCENTILES, Part, Target

SCRIPT = ROOT / "k6" / "counter.js"


def told(
    targets: Sequence[Target], load: Load, opens_at_ms: int | None, part: Part | None, timeout_s: float, summary: Path
) -> dict[str, object]:
    """Return the script's settings; what is long is written into files beside the summary that is to be."""
    appointed = opens_at_ms is not None or part is not None
    return {
        "ADDRESS": ",".join(one.address for one in targets),
        "VUS": load.vus,
        "RATE": load.rate or 0,
        "WARMUP_S": load.warmup_s,
        "OPENS_AT": opens_at_ms or "",
        "AFTER_S": AFTER_S if appointed else 0,
        "WAIT_S": process.START_S,
        "ANNOUNCE": int(appointed),
        "DURATION_S": load.duration_s,
        "CONNECT_PER_ITERATION": int(load.connect_per_iteration),
        "TIMEOUT_S": timeout_s,
        "PERCENTILES": ",".join(part.percentiles if part else PERCENTILES),
        "SUMMARY": summary,
        "PROTO": ROOT / "proto",
        **_keys(load),
        **_own(targets, summary.parent),
    }


def _keys(load: Load) -> dict[str, object]:
    return {"KEYS": load.keys, "ZIPF": load.zipf, "READ_PCT": load.read_pct} if load.is_keyed else {}


def _own(targets: Sequence[Target], folder: Path) -> dict[str, object]:
    known = {id(one.called): one.called for one in targets if one.called}
    if not known:
        return {}
    (called,) = known.values()  # a trial has one load
    descriptors, own = folder / "descriptors", folder / "own.json"
    descriptors.write_bytes(called.descriptors)
    own.write_text(json.dumps(called.settings))
    have_it = ",".join(str(int(one.called is not None)) for one in targets)
    return {"OWN": own, "PROTOSET": descriptors, "OWN_SERVERS": have_it}
