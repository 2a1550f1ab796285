"""What the evidence covers: each file's period, silence, holes, and what others say already."""

from __future__ import annotations

from collections.abc import Iterable

import ibis
import pandas as pd
from ibis import _

from flowbench.engine import seconds
from flowbench.schema import Table, to_frame

TABLE = Table.of(
    "coverage",
    ("evidence_id", "string", "evidence id of the file"),
    ("file", "string", "the file as it was given"),
    ("kind", "string", "what it is"),
    ("first_seen", "time", "its first record"),
    ("last_seen", "time", "its last record"),
    ("records", "int64", "how many records it holds"),
    ("nodata", "int64", "records that say: no traffic at this interface in this window"),
    ("skipdata", "int64", "records that say: traffic was left out here; a hole"),
    ("quarantined", "int64", "lines and items that could not be read"),
    ("repeated", "int64", "flow log records that the same or an earlier file holds too"),
)

_LOST = {
    "action": "what was refused",
    "tcp_flags": "who opened a TCP connection, and what was never answered",
    "flow_direction": "which way a record went",
    "pkt_srcaddr": "who is behind a NAT or transit gateway",
    "pkt_dstaddr": "whom hosts behind a NAT or transit gateway call",
    "pkt_dst_aws_service": "which AWS service was called, without a list of ranges",
    "bytes": "how much was sent",
    "protocol": "the protocol",
    "interface_id": "which interface saw it",
    "log_status": "silence from omission (NODATA, SKIPDATA)",
}
_SLOT = 600  # seconds: the longest window
_GAP = 1_800  # seconds without a record that are a gap
_SLOTS = 24  # that must have been seen before their order says anything


def by_source(flows: ibis.Table, evidence: pd.DataFrame) -> pd.DataFrame:
    """A row for each file of evidence (TABLE), in the order of loading.

    ``flows`` is the case's table, ``evidence`` its manifest. Two records are the same when all
    their fields are: overlapping flow logs (of a VPC and of one of its subnets, or into two
    destinations) write each record twice. They stay in the table, each with its line; connections
    count them once. Records are compared by a 64-bit digest: among 50 million, two that differ are
    taken for the same with a chance of 1 in 10,000.
    """
    fields = [name for name in flows.columns if name not in ("evidence_id", "line", "item")]
    order = pd.DataFrame({"evidence_id": evidence["evidence_id"], "place": range(len(evidence))})
    same = flows.select("evidence_id", digest=ibis.struct({n: flows[n] for n in fields}).hash())
    same = same.group_by("digest", "evidence_id").aggregate(n=_.count())
    same = same.join(ibis.memtable(order), "evidence_id")
    earliest = same.group_by("digest").aggregate(first=_.place.min())
    told = same.join(earliest, "digest")
    first = (told.place == told["first"]).cast("int64")
    repeated = told.group_by("evidence_id").aggregate(repeated=(told.n - first).sum().cast("int64"))
    counts = to_frame(repeated.to_pyarrow()).set_index("evidence_id")["repeated"]
    found = evidence.assign(repeated=evidence["evidence_id"].map(counts).fillna(0).astype("int64"))
    return found[TABLE.columns].reset_index(drop=True)


def interfaces(flows: ibis.Table) -> ibis.Table:
    """What the records of each interface cover, as an expression ordered by interface.

    Columns: interface_id, first, last (times of its records), slots (ten minutes each in which one
    began), adjacent (slots that follow on the one before), gaps (half an hour and more without a
    record: structs of since, until), lost (records that say something was left out), lost_s
    (seconds that they span), lost_first, lost_last, records, long (those of windows longer than two
    minutes). Gaps mean something where it is ``dense``.
    """
    f = flows.filter(flows.interface_id.notnull(), flows.start.notnull(), flows["end"].notnull())
    length = seconds(f["end"]) - seconds(f.start)
    slots = f.group_by("interface_id", slot=seconds(f.start) // _SLOT).aggregate(
        first=f.start.min(), last=f["end"].max(), records=f.count(), long=(length > 130).sum()
    )
    steps = _steps(slots, ["interface_id"])
    gap = ibis.struct({"since": steps.before, "until": steps["first"]})
    found = steps.group_by("interface_id").aggregate(
        first=steps["first"].min(),
        last=steps["last"].max(),
        slots=steps.count(),
        adjacent=(steps.step <= 1).sum(),
        gaps=gap.collect(where=steps.pause >= _GAP, order_by=steps.slot),
        **{name: steps[name].sum().cast("int64") for name in ("records", "long")},
    )
    dropped = f.filter(~f.log_status.isin(["OK", "NODATA"]))
    lost = dropped.group_by("interface_id").aggregate(
        lost=dropped.count(),
        lost_s=(seconds(dropped["end"]) - seconds(dropped.start)).sum(),
        lost_first=dropped.start.min(),
        lost_last=dropped["end"].max(),
    )
    found = found.left_join(lost, "interface_id").drop("interface_id_right")
    counts = {name: _[name].fill_null(0).cast("int64") for name in ("lost", "lost_s")}
    return found.mutate(**counts).order_by("interface_id")


def holes(flows: ibis.Table) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """The times, half an hour and more, in which no interface has a record; [] unless ``dense``."""
    f = flows.filter(flows.start.notnull(), flows["end"].notnull())
    slots = f.group_by(slot=seconds(f.start) // _SLOT)
    slots = slots.aggregate(first=f.start.min(), last=f["end"].max())
    rows = to_frame(_steps(slots, []).order_by("slot").to_pyarrow())
    long = (rows["pause"] >= _GAP).fillna(value=False)
    if not dense(len(rows), int((rows["step"] <= 1).sum()), int(long.sum())):
        return []
    rows = rows[long]
    return list(zip(rows["before"], rows["first"], strict=True))


def lacking(files: Iterable[set[str]]) -> list[str]:
    """What flow log files that have these fields cannot tell, a phrase for each field that counts.

    A field that some of them lack counts too.
    """
    files = list(files)
    told = []
    for name, what in _LOST.items():
        without = sum(name not in fields for fields in files)
        if without:
            some = "" if without == len(files) else f" in {without} of {len(files)} files"
            told.append(f"no {name.replace('_', '-')}{some}, which tells {what}")
    return told


def settings(flow_logs: ibis.Table) -> list[str]:
    """What is amiss with flow logs (load.flow_logs.TABLE) as they were set up, a phrase for each.

    Of several words on one flow log the newest counts.
    """
    order = [flow_logs.observed_at.asc(nulls_first=True), "flow_log_id", "evidence_id", "item"]
    rows = to_frame(flow_logs.order_by(order).to_pyarrow())
    told = []
    last = rows.drop_duplicates("flow_log_id", keep="last").sort_values("flow_log_id")
    for row in last.itertuples():
        if row.traffic_type in ("ACCEPT", "REJECT"):
            told.append(f"{row.flow_log_id} of {row.resource_id} records {row.traffic_type} only")
        if row.deliver_status == "FAILED":
            reason = f" ({row.deliver_error})" if row.deliver_error else ""
            told.append(f"{row.flow_log_id} of {row.resource_id} fails to deliver{reason}")
    return told


def one_sided(flows: ibis.Table, least: int = 10_000) -> list[str]:
    """Whether only accepted or only rejected traffic is there, among ``least`` records."""
    accepted = flows.count(where=flows.action == "ACCEPT")
    rejected = flows.count(where=flows.action == "REJECT")
    yes, no = flows.aggregate(yes=accepted, no=rejected).to_pandas().iloc[0]
    if no == 0 and yes >= least:
        return [f"nothing refused among {yes:,} records: perhaps ACCEPT only was recorded"]
    if yes == 0 and no >= least:
        return [f"nothing accepted among {no:,} records: REJECT only was recorded"]
    return []


def dense(slots: int, adjacent: int, gaps: int) -> bool:
    """Whether records follow on each other, so that a pause is none of the traffic's own.

    AWS writes NODATA for a silent window, so those of a whole log do: nine of ten slots follow on
    the one before, and hardly one comes after a pause too short for a gap, as chance would have it.
    """
    steps = slots - 1
    return slots >= _SLOTS and adjacent >= 0.9 * steps and adjacent + gaps >= 0.99 * steps


def _steps(slots: ibis.Table, by: list[str]) -> ibis.Table:
    """Slots with how far each lies from the one before: in slots, and in seconds of silence."""
    order = ibis.window(group_by=by, order_by=slots.slot)
    return slots.mutate(
        step=slots.slot - slots.slot.lag().over(order), before=slots["last"].lag().over(order)
    ).mutate(pause=seconds(_["first"]) - seconds(_.before))
