"""Coverage: each file's period and repetitions, and what the flow logs leave out.

Gaps are looked for in slots of ten minutes, the longest aggregation interval: an interface has a
record in every slot, since AWS writes NODATA for a silent capture window.
"""

from __future__ import annotations

from collections.abc import Iterable

import ibis
import pandas as pd
from ibis import _

from flowbench.engine import epoch_seconds
from flowbench.schema import Table, to_frame

TABLE = Table.of(
    "coverage",
    ("evidence_id", "string", "evidence id of the file"),
    ("file", "string", "the file as it was given"),
    ("kind", "string", "kind of evidence"),
    ("first_seen", "time", "its first record"),
    ("last_seen", "time", "its last record"),
    ("records", "int64", "records in it"),
    ("nodata", "int64", "records of status NODATA: no traffic in this capture window"),
    ("skipdata", "int64", "records of status SKIPDATA: AWS left records out; a gap"),
    ("quarantined", "int64", "lines and items that could not be read"),
    ("repeated", "int64", "flow log records that the same or an earlier file holds too"),
)

SLOT = 600  # seconds: the longest aggregation interval
GAP = 1_800  # seconds without a record that are a gap
LONG_WINDOW = 130  # seconds: a capture window of one minute may be recorded up to a minute longer

_FIELD_USES = {
    "action": "what was accepted and what rejected",
    "tcp_flags": "who opened a TCP connection, and which attempts failed",
    "flow_direction": "whether traffic enters or leaves an interface",
    "pkt_srcaddr": "the source of traffic through a NAT or transit gateway",
    "pkt_dstaddr": "the destination of traffic through a NAT or transit gateway",
    "pkt_dst_aws_service": "the AWS service reached, where the case has no list of ranges",
    "bytes": "the volume sent",
    "protocol": "the protocol",
    "interface_id": "the interface that recorded the traffic",
    "log_status": "silence (NODATA) from lost records (SKIPDATA)",
}
_MIN_SLOTS = 24  # fewer say nothing about continuity
_MIN_ACTION_RECORDS = 10_000


def coverage_by_file(flows: ibis.Table, evidence: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each file of evidence (TABLE), in the order of loading.

    Two records are the same when all their fields are: overlapping flow logs (of a VPC and of one
    of its subnets, or with two destinations) write each record twice. They stay in the table, each
    with its line; connections count them once. Records are compared by a 64-bit hash: among 50
    million, two different ones have the same with a probability of 1 in 10,000.

    Args:
        flows: The flow records of the case.
        evidence: Its manifest.
    """
    fields = [name for name in flows.columns if name not in ("evidence_id", "line", "item")]
    ids = evidence["evidence_id"]
    order = ibis.memtable(pd.DataFrame({"evidence_id": ids, "position": range(len(ids))}))
    records = flows.select("evidence_id", hash=ibis.struct({n: flows[n] for n in fields}).hash())
    counts = records.group_by("hash", "evidence_id").aggregate(n=_.count())
    counts = counts.join(order, "evidence_id")
    first = counts.group_by("hash").aggregate(first_position=_.position.min())
    counts = counts.join(first, "hash")
    is_first = (counts.position == counts.first_position).cast("int64")
    repeated = counts.group_by("evidence_id").aggregate(
        repeated=(counts.n - is_first).sum().cast("int64")
    )
    by_file = to_frame(repeated.to_pyarrow()).set_index("evidence_id")["repeated"]
    rows = evidence.assign(repeated=ids.map(by_file).fillna(0).astype("int64"))
    return rows[TABLE.columns].reset_index(drop=True)


def coverage_by_interface(flows: ibis.Table) -> ibis.Table:
    """Return what the records of each interface cover, ordered by interface.

    Returns:
        An expression with the columns interface_id; first, last (times of its records); slots (how
        many have the start of a record); adjacent (slots that follow the one before); gaps (structs
        of since and until, at least GAP apart without a record); lost (records that report lost
        ones), lost_s (seconds that they span), lost_first, lost_last; records; long (records of
        capture windows longer than two minutes). Gaps mean something where it ``is_continuous``.
    """
    f = flows.filter(flows.interface_id.notnull(), flows.start.notnull(), flows["end"].notnull())
    length = epoch_seconds(f["end"]) - epoch_seconds(f.start)
    slots = f.group_by("interface_id", slot=epoch_seconds(f.start) // SLOT).aggregate(
        first=f.start.min(),
        last=f["end"].max(),
        records=f.count(),
        long=(length > LONG_WINDOW).sum(),
    )
    steps = _add_steps(slots, ["interface_id"])
    gap = ibis.struct({"since": steps.before, "until": steps["first"]})
    rows = steps.group_by("interface_id").aggregate(
        first=steps["first"].min(),
        last=steps["last"].max(),
        slots=steps.count(),
        adjacent=(steps.step <= 1).sum(),
        gaps=gap.collect(where=steps.pause >= GAP, order_by=steps.slot),
        **{name: steps[name].sum().cast("int64") for name in ("records", "long")},
    )
    skipped = f.filter(~f.log_status.isin(["OK", "NODATA"]))
    lost = skipped.group_by("interface_id").aggregate(
        lost=skipped.count(),
        lost_s=(epoch_seconds(skipped["end"]) - epoch_seconds(skipped.start)).sum(),
        lost_first=skipped.start.min(),
        lost_last=skipped["end"].max(),
    )
    rows = rows.left_join(lost, "interface_id").drop("interface_id_right")
    counts = {name: _[name].fill_null(0).cast("int64") for name in ("lost", "lost_s")}
    return rows.mutate(**counts).order_by("interface_id")


def find_gaps(flows: ibis.Table) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """Return the periods of at least GAP in which no interface has a record.

    The list is empty unless the records are continuous; see ``is_continuous``.
    """
    f = flows.filter(flows.start.notnull(), flows["end"].notnull())
    slots = f.group_by(slot=epoch_seconds(f.start) // SLOT)
    slots = slots.aggregate(first=f.start.min(), last=f["end"].max())
    rows = to_frame(_add_steps(slots, []).order_by("slot").to_pyarrow())
    is_gap = (rows["pause"] >= GAP).fillna(value=False)
    if not is_continuous(len(rows), int((rows["step"] <= 1).sum()), int(is_gap.sum())):
        return []
    gaps = rows[is_gap]
    return list(zip(gaps["before"], gaps["first"], strict=True))


def is_continuous(slots: int, adjacent: int, gaps: int) -> bool:
    """Whether records follow each other closely enough that a pause means lost logs.

    Nine of ten slots must follow the one before, and one in a hundred at most may come after a
    pause that is shorter than a gap, as it does at random where NODATA is not recorded.

    Args:
        slots: Slots with a record.
        adjacent: Those among them that follow the one before.
        gaps: Pauses of at least GAP.
    """
    steps = slots - 1
    return slots >= _MIN_SLOTS and adjacent >= 0.9 * steps and adjacent + gaps >= 0.99 * steps


def describe_missing_fields(files: Iterable[set[str]]) -> list[str]:
    """Return what cannot be known for lack of fields, a phrase for each missing field.

    Args:
        files: The fields of each flow log file. A field that only some files lack is reported too.
    """
    files = list(files)
    phrases = []
    for name, use in _FIELD_USES.items():
        without = sum(name not in fields for fields in files)
        if without:
            some = "" if without == len(files) else f" in {without} of {len(files)} files"
            phrases.append(f"no {name.replace('_', '-')}{some}, which tells {use}")
    return phrases


def describe_setting_problems(flow_logs: ibis.Table) -> list[str]:
    """Return what the settings of flow logs leave out or fail to deliver, a phrase for each.

    Args:
        flow_logs: Recorded settings (loaders.aws.flow_log_settings.TABLE). Of several for one flow
            log the latest counts.
    """
    order = [flow_logs.observed_at.asc(nulls_first=True), "flow_log_id", "evidence_id", "item"]
    rows = to_frame(flow_logs.order_by(order).to_pyarrow())
    phrases = []
    latest = rows.drop_duplicates("flow_log_id", keep="last").sort_values("flow_log_id")
    for row in latest.itertuples():
        name = f"{row.flow_log_id} of {row.resource_id}"
        if row.traffic_type in ("ACCEPT", "REJECT"):
            phrases.append(f"{name} records {row.traffic_type} only")
        if row.deliver_status == "FAILED":
            reason = f" ({row.deliver_error})" if row.deliver_error else ""
            phrases.append(f"{name} fails to deliver{reason}")
    return phrases


def describe_one_sided(flows: ibis.Table, min_records: int = _MIN_ACTION_RECORDS) -> list[str]:
    """Return a phrase if only accepted or only rejected traffic is in the logs, or nothing.

    Args:
        flows: The flow records of the case.
        min_records: Fewer records say nothing.
    """
    accepted = flows.count(where=flows.action == "ACCEPT")
    rejected = flows.count(where=flows.action == "REJECT")
    counts = flows.aggregate(accepted=accepted, rejected=rejected).to_pyarrow().to_pylist()[0]
    if counts["rejected"] == 0 and counts["accepted"] >= min_records:
        return [f"no REJECT among {counts['accepted']:,} records: perhaps only ACCEPT was recorded"]
    if counts["accepted"] == 0 and counts["rejected"] >= min_records:
        return [f"no ACCEPT among {counts['rejected']:,} records: only REJECT was recorded"]
    return []


def _add_steps(slots: ibis.Table, by: list[str]) -> ibis.Table:
    """Add the distance of each slot from the one before, in slots (step) and seconds (pause)."""
    order = ibis.window(group_by=by, order_by=slots.slot)
    return slots.mutate(
        step=slots.slot - slots.slot.lag().over(order), before=slots["last"].lag().over(order)
    ).mutate(pause=epoch_seconds(_["first"]) - epoch_seconds(_.before))
