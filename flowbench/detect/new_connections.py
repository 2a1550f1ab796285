"""Connections between internal hosts that are new after the baseline period."""

from __future__ import annotations

import ibis
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.detect.baseline import Baseline
from flowbench.enrich.ownership import SUBNET, neighbourhood_key
from flowbench.schema import to_frame

_KEYS = ["service_port", "protocol"]
_SERVICE = ["responder", *_KEYS]


def find_new_connections(
    p: ibis.Table, services: ibis.Table, baseline: Baseline, baseline_hosts: int, factor: float
) -> pd.DataFrame:
    """Return the new connections of hosts that have more of them than the baseline lets expect.

    Args:
        p: The connection summaries of a case.
        services: Those of internal services, with the columns of a finding's traffic.
        baseline: The baseline period.
        baseline_hosts: Hosts at which a port, used in the baseline period, is usual for a host.
        factor: How many times more services than expected must be new to a host.

    Returns:
        The columns of ``services`` and known, whether the initiator was seen in the baseline
        period; ordered by initiator and service.
    """
    new = _new_connections(p, services, baseline.end, baseline_hosts)
    old = services.filter(services.answered > 0, services.first_seen < baseline.end)
    late = (old.first_seen >= baseline.middle).sum()
    counts = to_frame(old.group_by("initiator").aggregate(late=late).to_pyarrow())
    expected = counts.set_index("initiator")["late"].astype(float) * baseline.scale
    mean = expected.mean() if len(expected) else 0.0
    of_host = new["initiator"].map(expected).astype(float).fillna(0.0).clip(lower=mean)
    return new[new.groupby("initiator")["responder"].transform("size") > factor * of_host]


def _new_connections(
    p: ibis.Table, services: ibis.Table, until: pd.Timestamp, baseline_hosts: int
) -> pd.DataFrame:
    """Return services first used after ``until`` (end of the baseline), unless to be expected.

    Columns: those of ``services`` and known, whether the initiator was seen before. The filters
    that remove most come first; only the rest is compared by subnet.
    """
    answered = services.filter(services.answered > 0, services.protocol.notnull())
    new = answered.filter(answered.first_seen >= until)
    old = answered.filter(answered.first_seen < until)
    moved = new.group_by(_SERVICE).having(_.count() >= 3)
    usual = old.group_by("initiator", *_KEYS).having(_.count() >= baseline_hosts)
    few = new.anti_join(moved.aggregate(), _SERVICE)
    few = few.anti_join(usual.aggregate(), ["initiator", *_KEYS])
    table = few = few.mutate(
        near=neighbourhood_key(few.initiator, SUBNET), far=neighbourhood_key(few.responder, SUBNET)
    )
    for name, end, other, network in (
        ("similar_targets", "initiator", "responder", "far"),
        ("similar_hosts", "responder", "initiator", "near"),
    ):
        similar = old.semi_join(few, [end, *_KEYS])
        similar = similar.group_by(
            end, *_KEYS, **{network: neighbourhood_key(similar[other], SUBNET)}
        )
        table = table.left_join(similar.aggregate(**{name: _.count()}), [end, network, *_KEYS])
        table = table.drop(*(column for column in table.columns if column.endswith("_right")))
    rows = to_frame(table.order_by("initiator", *_SERVICE).to_pyarrow())
    known = _known_hosts(p, services, until, {*rows["initiator"], *rows["responder"]})
    rows["known"] = rows["initiator"].isin(known)
    # A target, or a host, that is new itself needs one similar example, not two.
    by_target = rows["similar_targets"].fillna(0) > rows["responder"].isin(known)
    by_host = rows["similar_hosts"].fillna(0) > rows["known"]
    return rows[~by_target & ~by_host]


def _known_hosts(
    p: ibis.Table, services: ibis.Table, before: pd.Timestamp, hosts: set[str]
) -> set[str]:
    """Return which of these hosts the logs show before that time.

    Nearly all used some internal service then: only the others are sought in all summaries.
    """
    old, past = (table.filter(table.first_seen < before) for table in (services, p))
    as_initiator = past.filter(past.direction.isin(["internal", "outbound"]))
    as_responder = past.filter(past.direction.isin(["internal", "inbound"]))
    known: set[str] = set()
    for initiators, responders in ((old, old), (as_initiator, as_responder)):
        if left := hosts - known:
            wanted = ibis.memtable({"host": pa.array(sorted(left), pa.string())})
            ends = initiators.select(host="initiator").union(responders.select(host="responder"))
            ends = ends.semi_join(wanted, "host").distinct()
            known |= set(ends.to_pyarrow()["host"].to_pylist())
    return known
