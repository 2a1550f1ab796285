"""The way back from a finding to the lines that prove it."""

from __future__ import annotations

import json
from typing import Any

import ibis
import pandas as pd

from flowbench.errors import InputError
from flowbench.schema import EvidenceSelector, place, to_frame


def behind(
    flows: ibis.Table, evidence: pd.DataFrame, finding: Any
) -> pd.DataFrame:
    """The flow records that a finding's selector chooses, each with its file and line.

    The selector is JSON in the finding's ``evidence``: subject, peers, ports, protocol, from,
    until. A record is chosen when it runs between the subject and a peer, either way, by its own or
    its packet's addresses, on one of the ports (if any are named), and overlaps the period. With
    targets these stand for a subject that is no address. With
    interfaces and a status it chooses their records of that log-status in the period instead.

    Returns the columns of ``flows`` and ``file``, ordered by start, source, line (and item). Raises
    InputError when ``finding`` is none.
    """
    try:
        given = finding["evidence"] if isinstance(finding, dict) else finding.evidence
        selector = json.loads(given.to_json() if isinstance(given, EvidenceSelector) else given)
        subject, peers, ports = selector["subject"], selector["peers"], selector["ports"]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError("not a finding: give a row of what detect.run returns") from error
    subjects = selector.get("targets") or [subject]
    source = [flows.srcaddr, flows.pkt_srcaddr]
    destination = [flows.dstaddr, flows.pkt_dstaddr]

    def between(here: list[ibis.Value], there: list[ibis.Value]) -> ibis.Value:
        return ibis.or_(*(c.isin(subjects) for c in here)) & ibis.or_(
            *(c.isin(peers) for c in there)
        )

    if selector.get("interfaces"):
        keep = [flows.interface_id.isin(selector["interfaces"])]
        keep.append(flows.log_status == selector.get("status"))
    else:
        keep = [between(source, destination) | between(destination, source)]
    if ports:
        keep.append(flows.srcport.isin(ports) | flows.dstport.isin(ports))
    if selector.get("protocol") is not None:
        keep.append(flows.protocol == selector["protocol"])
    if selector.get("from"):
        keep.append(flows["end"] >= pd.Timestamp(selector["from"]))
    if selector.get("until"):
        keep.append(flows.start <= pd.Timestamp(selector["until"]))
    ordered = flows.filter(*keep).order_by("start", *place(flows.columns))
    found = to_frame(ordered.to_pyarrow())
    files = dict(zip(evidence["evidence_id"], evidence["file"], strict=True))
    return found.assign(file=found["evidence_id"].map(files))
