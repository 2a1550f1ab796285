"""The evidence table of a playbook: records with file and line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from flowbench.investigate import where
from flowbench.schema import record_key

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect import Finding

_MOST_FINDINGS = 5
_OF_FINDING = 10
_WITHOUT_FINDING = 20
_COLUMNS = (
    *("start", "end", "srcaddr", "srcport", "dstaddr", "dstport", "packets", "bytes", "action"),
    *("event_time", "event_name", "principal_name", "source_ip", "error_code"),
    *("query_time", "name", "answers"),
    *("file", "line"),
)


def list_records(
    case: Case, findings: Sequence[Finding], otherwise: str | None = None
) -> pd.DataFrame:
    """Return the first records that support findings, or flow records where there is no finding.

    Args:
        case: The case.
        findings: Findings, the most severe first; of the first five, ten records each.
        otherwise: Which flow records are returned without findings, twenty of them: a filter as
            ``where.filter_flows`` takes it; None for none.

    Returns:
        The columns of flow records, API events or DNS queries that identify a record and have a
        value in some row, with file and line; of several findings also ``finding_id``. In order of
        findings, then of time.
    """
    if not findings:
        flows = case.flows.limit(0) if otherwise is None else where.filter_flows(case, otherwise)
        rows = flows.order_by("start", *record_key(flows.columns)).limit(_WITHOUT_FINDING)
        files = case.evidence[["evidence_id", "file"]].drop_duplicates("evidence_id")
        return rows.to_pandas().merge(files, how="left", on="evidence_id").filter(_COLUMNS)
    parts = [
        case.evidence_for(finding, limit=_OF_FINDING).assign(finding_id=finding.finding_id)
        for finding in findings[:_MOST_FINDINGS]
    ]
    records = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    names = ["finding_id"] * (len(findings) > 1) + [*_COLUMNS]
    return records.filter(names).dropna(axis="columns", how="all")
