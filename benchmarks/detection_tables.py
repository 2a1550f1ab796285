"""The Markdown tables of detection.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

Counts = Counter[tuple[Any, ...]]  # by what is counted, detector, kind, window


def table(
    counts: Counts, windows: list[int], detectors: dict[str, list[str]], extra: list[str]
) -> Iterator[str]:
    """Yield the figures as a Markdown table; ``extra`` activity has a row where there is some."""
    yield (
        "| window | detector | activity | count | detected | recall | findings | precision"
        " | false, medium or above |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for window in windows:
        for detector, kinds in detectors.items():
            names = [*kinds, *(e for e in extra if counts["planted", detector, e, window])]
            true, false = counts["true", detector, window], counts["false", detector, window]
            for name in names or ["–"]:
                planted = counts["planted", detector, name, window]
                detected = counts["detected", detector, name, window]
                recall = f"{detected / planted:.3f}" if planted else "–"
                precision = f"{true / (true + false):.3f}" if true + false else "–"
                yield (
                    f"| {window} s | {detector} | {name} | {planted} | {detected} | {recall}"
                    f" | {true + false} | {precision}"
                    f" | {counts['false and medium', detector, window]} |"
                )


def ordinary_table(counts: Counts, detectors: dict[str, list[str]]) -> Iterator[str]:
    """Yield a Markdown table of the ordinary pairs that detectors named, of all windows."""
    kinds = sorted({key[1] for key in counts if key[0] == "ordinary"})
    named = [k for k in kinds if any(counts["named", k, d] for d in detectors)]
    columns = [d for d in detectors if any(counts["named", kind, d] for kind in named)]
    if not named:
        yield "\nNo ordinary pair is in a finding."
        return
    yield f"\n| ordinary pairs in findings | pairs | {' | '.join(columns)} |"
    yield "|---|---|" + "---|" * len(columns)
    for kind in named:
        pairs = max(counts["ordinary", kind, detector] for detector in detectors)
        cells = (str(counts["named", kind, detector]) for detector in columns)
        yield f"| {kind} | {pairs} | {' | '.join(cells)} |"
    silent = ", ".join(kind for kind in kinds if kind not in named)
    yield f"\nIn no finding: {silent}."
