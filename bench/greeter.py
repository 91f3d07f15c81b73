"""Does the gate do what it should? Comparisons of the example service with a regression of known size built in.

    python bench/greeter.py --slower-pct 6,3,0 --studies 10 --budget-s 60

Whole comparisons, each of its own seed, as a pull request would make them; a run that is there is kept.
`--slower-pct 60` says how well the example's ROUNDS_A_PERCENT fits this machine: the ratio should be about 1.60.
"""

import argparse
import sys
from pathlib import Path

import perfkit
from perfkit.analysis.comparison import A_DEARER, B_DEARER, NOT_TRUSTED
from perfkit.checkout import ROOT, RUNS
from perfkit.cli import gate
from perfkit.record.load import load_environment
from perfkit.show import words

GREETER = ROOT / "examples" / "greeter"

GATE = gate.parse("cpu_per_call>3%")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slower-pct", default="6,3,0", help="regressions, in per cent (%(default)s)")
    parser.add_argument("--studies", type=int, default=10, help="comparisons of each (%(default)s)")
    parser.add_argument("--budget-s", type=float, default=60, help="seconds of each (%(default)s)")
    parser.add_argument("--duration-s", type=float, default=5, help="seconds of a window (%(default)s)")
    parser.add_argument("--turn-ms", type=int, default=10, help="milliseconds of a turn (%(default)s)")
    parser.add_argument("--out", type=Path, default=RUNS / "greeter", help="their folder (%(default)s)")
    options = parser.parse_args(arguments)
    server = f"exec?folder={GREETER}:{sys.executable} server.py --port {{port}}"
    sizes = [float(one) for one in options.slower_pct.split(",")]
    answers = {size: [] for size in sizes}
    folder = None
    for seed in range(1, options.studies + 1):
        for size in sizes:  # in turn, so that a machine that changes does so for all
            out = options.out / f"{size:g}-{seed:02d}"
            folder = out if (out / "done").exists() else perfkit.compare(
                a=server, b=f"{server} --slower-pct {size:g}", call="greeter.Greeter/Greet",
                proto=str(GREETER / "greeter.proto"), request=str(GREETER / "requests.jsonl"),
                duration_s=options.duration_s, warmup_s=0.5, turn_ms=options.turn_ms, budget_s=options.budget_s,
                precision_pct=0, seed=seed, out=out,
            )  # fmt: skip
            (out / "done").touch()
            found = perfkit.robustness(folder)
            answers[size].append(found)
            (answer,) = found.answers
            told = words.percent(answer.cpu_per_call) if answer.cpu_per_call else "nothing"
            print(f"{size:g} % built in, {seed}: {answer.verdict}, {told}, {answer.blocks} blocks in "
                  f"{answer.seconds:.0f} s; gate {gate.judge(GATE, found)}", flush=True)  # fmt: skip
    if folder:
        print(f"\n{load_environment(folder).cpu_model}; {options.studies} comparisons of {options.budget_s:g} s each")
    for size, several in answers.items():
        verdicts = [one.verdict for one in several]
        ratios = sorted(one.answers[0].cpu_per_call.ratio for one in several if one.answers[0].cpu_per_call)
        halves = sorted(one.answers[0].cpu_per_call.half_width_pct for one in several if one.answers[0].cpu_per_call)
        failed = sum(gate.judge(GATE, one) == gate.BEYOND for one in several)
        print(
            f"{size:g} % built in: {failed} fail the gate of 3 %, {verdicts.count(B_DEARER)} are called dearer, "
            f"{verdicts.count(A_DEARER)} cheaper, {verdicts.count(NOT_TRUSTED)} not trusted; ratio "
            f"{ratios[len(ratios) // 2]:.3f} and half-width {halves[len(halves) // 2]:.1f} % in the median"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
