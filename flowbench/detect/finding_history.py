"""The history of findings over the kept runs: new, changed and gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from flowbench.detect import history
from flowbench.detect.compare import CHANGES, compare
from flowbench.detect.findings import Findings
from flowbench.errors import CaseError
from flowbench.schema import Table

if TYPE_CHECKING:
    from flowbench.case import Case

FINDING_HISTORY = Table.of(
    "finding_history",
    ("run", "int64", "number of the run, from 1"),
    ("run_time", "time", "time of the run, to the second"),
    *((field.name, field.type, field.meaning) for field in CHANGES.fields),
)

RUNS = Table.of(
    "runs",
    ("run", "int64", "number of the run, from 1"),
    ("run_time", "time", "time of the run, to the second"),
    ("by", "string", "the user"),
    ("version", "string", "of flowbench"),
    ("findings", "int64", "findings that no allow list suppressed"),
    ("new", "int64", "findings that the run before did not have"),
    ("changed", "int64", "findings that differ from the run before"),
    ("gone", "int64", "findings of the run before that this run does not have"),
    ("note", "string", "why its findings cannot be read; null if they can"),
)


def list_history(case: Case) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare each run that the case keeps with the one before.

    Returns:
        The runs (RUNS), oldest first, and the changes of findings (FINDING_HISTORY), in the order
        of the runs; all findings of the first run are new. A run whose findings cannot be read has
        a note, and the next one is compared with the one before it.
    """
    runs: list[dict[str, object]] = []
    changes = [FINDING_HISTORY.frame([])]
    before = Findings()
    for number, entry in enumerate(history.kept_runs(case), 1):
        run: dict[str, object] = {"run": number, "run_time": pd.Timestamp(entry["time"]).floor("s")}
        runs.append(run | {"by": entry["by"], "version": entry["details"].get("version")})
        try:
            findings = history.read_run(case, entry).findings
        except CaseError as error:
            runs[-1]["note"] = str(error)
            continue
        changed = compare(before, findings)
        counts = changed["change"].value_counts()
        runs[-1] |= {name: int(counts.get(name, 0)) for name in ("new", "changed", "gone")}
        runs[-1]["findings"] = len(findings)
        if len(changed):
            changes.append(changed.assign(**run)[FINDING_HISTORY.columns])
        before = findings
    return RUNS.frame(runs), pd.concat(changes[len(changes) > 1 :], ignore_index=True)
