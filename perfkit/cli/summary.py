"""A comparison's answer as Markdown, for a job summary or a comment, with its figure beside it as SVG."""

from collections.abc import Mapping
from pathlib import Path

from perfkit.analysis import comparison
from perfkit.analysis.comparison import Answer
from perfkit.analysis.several.robust import Robustness
from perfkit.cli import gate
from perfkit.cli.gate import Gate
from perfkit.design.plan import A, B
from perfkit.record.load import load_environment
from perfkit.show import own_style, report, words
from perfkit.show.figures import compare as figures
from perfkit.show.figures import files, several
from perfkit.show.several import robust

JUDGED = {
    gate.BEYOND: "**failed**: the whole interval is beyond",
    gate.INSIDE: "passed: the whole interval is on the good side",
    gate.OPEN: "**open**: the interval holds the threshold, or there is no verdict; compare for longer",
}

FOLDED = "<details><summary>What limits it, and the controls</summary>"

LABELS = {"cpu_per_call": "CPU per call", "throughput": "throughput"}


def write(path: Path, folder: Path, found: Robustness, judged: Mapping[Gate, str]) -> None:
    """Write it to `path`, and the figure beside it under the same name."""
    picture = path.with_suffix(".svg")
    with own_style():
        figure = several.loads(found) if len(found.answers) > 1 else figures.forest(*figures.inputs(folder))
        files.write_svg(figure, picture)
    path.write_text(text(folder, found, judged, picture.name))


def text(folder: Path, found: Robustness, judged: Mapping[Gate, str], picture: str = "") -> str:
    """Return the Markdown: verdict, gates, a row a metric, what limits it, and where it was measured."""
    first = found.answers[0]
    a, b = comparison.names(first.plan)
    if len(found.answers) > 1:
        head = [robust.table(found).replace("# ", "### ", 1)]
    else:
        head = [f"### {words.sentence(first)}", _table(first)]
    limits = [f"- {line}" for line in words.caveats(first)]
    parts = [
        *head,
        "\n".join(f"- Gate `{one.text}` {JUDGED[how]}." for one, how in judged.items()),
        f"`a`: {a}, `{first.plan.arm(A).name}`; `b`: {b}, `{first.plan.arm(B).name}`; differences are `b`'s.",
        "\n".join([FOLDED, "", *limits, report.controls(first), "", "</details>"]),
        report.where(load_environment(folder)),
        f"Figure: `{picture}`, beside this text." if picture else "",
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(answer: Answer) -> str:
    rows = ["| metric | difference | 95 % interval | would be found 4 times out of 5 |", "|---|---|---|---|"]
    for name, result in gate.metrics(answer).items():
        low, high = ((end - 1) * 100 for end in result.interval)
        least = f"{result.detectable_pct:.1f} %" if result.detectable_pct else ""
        interval = f"{low:+.1f} % to {high:+.1f} %"
        rows.append(f"| {LABELS.get(name, name)} | {(result.ratio - 1) * 100:+.1f} % | {interval} | {least} |")
    return "\n".join(rows) if len(rows) > 2 else ""
