"""flowbench evaluate: measure the detectors on labelled logs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.text import format_count, list_some

if TYPE_CHECKING:
    import pandas as pd

_Z = 1.959964  # standard normal quantile of a 95 % interval


@click.command()
@click.argument("logs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--labels",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="CSV with src, dst, label (malicious, benign, background, unknown), kind.",
)
@click.option(
    "--window",
    type=click.Choice(["60", "600"]),
    help="Merge the records into capture windows of that many seconds first.",
)
@click.option(
    "--feeds",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Indicator list to load as well (repeatable).",
)
@click.option(
    "--least",
    type=click.Choice(["low", "medium", "high", "critical"]),
    default="low",
    show_default=True,
    help="The lowest severity that counts.",
)
@click.option(
    "--errors",
    is_flag=True,
    help="List each false negative of a detector's own kinds and each false positive instead.",
)
@common.output_options
def evaluate(
    logs: tuple[Path, ...],
    labels: Path,
    window: str | None,
    feeds: tuple[Path, ...],
    least: str,
    errors: bool,
    out: common.Output,
) -> None:
    """Measure the detectors on labelled LOGS.

    A label names a pair of addresses, in either direction; an empty dst is any. Pairs without a
    label, unknown ones, and those without a record do not count.

    The table has a row per detector, and one for any of them. True positives (caught), false
    negatives (missed) and recall (with Wilson's 95 % interval) are of the malicious pairs of its
    own kinds; false positives (false_benign, false_background) are the benign and background pairs
    that it reported; precision is the malicious share, of any kind, of the labelled pairs that it
    reported. The other formats have a row per detector and kind of label.
    """
    from flowbench.detect import evaluate as measures

    result = measures.evaluate(
        logs, labels, window=int(window) if window else None, feeds=feeds, least=least
    )
    if errors:
        out.write(result.errors)
    elif not out.is_terminal:
        out.write(result.table)
    else:
        out.write(summarize_detectors(result.table))
        _note_kinds_without_detector(result.table)
    if result.absent:
        common.note(f"not counted: {format_count(result.absent, 'labelled pair')} without a record")
    for detector, reason in result.not_run.items():
        common.note(f"{detector}: {reason}")
    source = "of the logs" if window is None else "merged"
    if window is not None and result.window > int(window):
        source = f"of the logs, which cannot be split into {window} s"
    common.note(f"capture windows: {result.window:.0f} s ({source})")


def summarize_detectors(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row per detector from the rows per detector and kind.

    Args:
        table: detect.evaluate.COLUMNS.

    Returns:
        Columns detector, kinds, pairs, caught, missed, recall, recall_95 (Wilson's interval as
        text), false_benign, false_background, precision. Values that nothing defines are null.
    """
    import pandas as pd

    from flowbench.detect.labels import ANY, is_own_kind

    rows = []
    for detector, kinds in table.groupby("detector", sort=True):
        is_malicious = kinds["pairs"] > 0
        is_own = kinds["kind"].map(lambda kind, name=str(detector): is_own_kind(name, kind))
        own = kinds[is_malicious & is_own]
        pairs, caught = int(own["pairs"].sum()), int(own["caught"].sum())
        false_columns = ["false_benign", "false_background"]
        # Each row of a malicious kind counts all false positives, each other row those of its kind.
        false = kinds.loc[is_malicious, false_columns].head(1)
        if false.empty:
            false = kinds[false_columns]
        benign, background = (int(false[name].sum()) for name in false_columns)
        true = int(kinds["caught"].sum())
        reported = true + benign + background
        low, high = wilson_interval(caught, pairs)
        rows.append(
            {
                "detector": detector,
                "kinds": "all" if detector == ANY else ", ".join(own["kind"]),
                "pairs": pairs,
                "caught": caught,
                "missed": pairs - caught,
                "recall": caught / pairs if pairs else None,
                "recall_95": f"{low:.2f} to {high:.2f}" if pairs else None,
                "false_benign": benign,
                "false_background": background,
                "precision": true / reported if reported else None,
            }
        )
    frame = pd.DataFrame(rows)
    return frame.astype({"recall": "float64", "precision": "float64"}) if rows else frame


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion at 95 % confidence.

    Method: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    JASA 22 (1927). Without trials it is (0, 1).
    """
    if not trials:
        return 0.0, 1.0
    share, square = successes / trials, _Z * _Z
    center = share + square / (2 * trials)
    margin = _Z * math.sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    scale = 1 + square / trials
    return max(0.0, (center - margin) / scale), min(1.0, (center + margin) / scale)


def _note_kinds_without_detector(table: pd.DataFrame) -> None:
    from flowbench.detect.labels import ANY, is_own_kind

    detectors = set(table["detector"]) - {ANY}
    malicious = set(table.loc[table["pairs"] > 0, "kind"])
    others = [k for k in sorted(malicious) if not any(is_own_kind(d, k) for d in detectors)]
    if others:
        common.note(f"malicious kinds that no detector is made for: {list_some(others)}")
