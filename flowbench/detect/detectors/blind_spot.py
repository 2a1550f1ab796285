"""Blind spot: what can these logs not tell?

Question: where do the logs say nothing, so that silence must not be read as peace, and did somebody
see to it?

Method: counting, nothing statistical. One finding for each kind of blindness:

* SKIPDATA: windows in which AWS left records out, by interface and time.
* Gaps: half an hour and more without any record, of all interfaces (evidence is missing) or of one.
  AWS writes NODATA for each silent window, so what is logged leaves records without pause; where
  records come in fits nobody can tell (see coverage.dense).
* Interfaces that an inventory lists as in use, or CloudTrail as made, and no record names; medium
  if one was made while these logs ran.
* Interfaces that fell silent for good while the instance still lives: its role's session calls
  AWS, or it asks the resolver, ten minutes and more later. Medium.
* What the flow logs were not set up to record: fields, accepted or rejected traffic only, windows
  of ten minutes, deliveries that fail (recorded describe-flow-logs answers and the records).
* Logging switched off in CloudTrail (ATT&CK T1562.008): high, with what fell silent then; medium if
  the call was refused; low if the same principal made a flow log within an hour, as a change of
  format is done.

Fires falsely: evidence that was collected for some interfaces only, on purpose; filtered exports;
infrastructure code that deletes flow logs with their VPC. Cannot see: a flow log narrowed where no
CloudTrail or describe-flow-logs answer says so; gaps in logs that are quiet anyway.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd
from ibis import _

from flowbench.case import coverage
from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, make_finding
from flowbench.schema import to_frame
from flowbench.text import format_count, format_duration, is_address, list_some

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowbench.case import Case

SUBJECT = "flow logs"  # of what is about no single host
NEVER = (
    "Never in any flow log: queries to Amazon's resolver, instance metadata (169.254.169.254), time"
    " sync, DHCP, ARP, Windows activation, mirrored traffic at its source, payload."
)
OFF = {
    "DeleteFlowLogs": "flow logs",
    "DeleteLogGroup": "a log group",
    "DeleteLogStream": "a log stream",
    "StopLogging": "CloudTrail",
    "DeleteTrail": "CloudTrail",
    "DeleteDetector": "GuardDuty",
    "DisassociateResolverQueryLogConfig": "DNS query logs",
    "DeleteResolverQueryLogConfig": "DNS query logs",
}

_NAME = "blind-spot"
_NEAR = pd.Timedelta(hours=1)
_LATER = pd.Timedelta(minutes=10)
_SHOWN = 5


DETECTOR = Detector(
    id=_NAME,
    title="What the logs cannot tell",
    question="Where do the logs say nothing, and did somebody see to it?",
    technique="T1562.008",
    needs=frozenset({"start", "end"}),
)


def find(case: Case) -> list[Finding]:
    """One finding for each kind of blindness; of switching off one per principal and call."""
    seen = to_frame(coverage.interfaces(case.flows).to_pyarrow())
    seen["gaps"] = [() if gaps is None else tuple(gaps) for gaps in seen["gaps"]]
    seen["dense"] = [
        coverage.dense(row.slots, row.adjacent, len(row.gaps)) for row in seen.itertuples()
    ]
    begin, end = case.span
    if begin is None or end is None:
        return []
    holes = coverage.holes(case.flows)
    held = _held(case)
    address = held.dropna(subset=["interface_id"]).groupby("interface_id")["address"].min()
    found = [
        *_skipped(seen, address),
        *_gaps(seen, holes, address),
        *_unseen(held, seen, begin, end),
        *_fell_silent(case, seen, held, end),
        *_set_up(case, seen, begin, end),
        *_switched_off(case, seen, end),
    ]
    if found:
        found[0] = found[0].add_caveat(NEVER)
    return found


def _held(case: Case) -> pd.DataFrame:
    """Holders (enrich.interfaces.TABLE), without interfaces that lie about unattached."""
    h, i = case.address_assignments, case.interfaces
    idle = i.filter(i.status.isin(["available", "deleted"])).select("interface_id").distinct()
    h = h.anti_join(idle, "interface_id")
    columns = ["interface_id", "address", "instance_id", "service", "vpc_id", "valid_from"]
    columns += ["valid_until", "known_from"]
    order = ["interface_id", "address", _.valid_from.asc(nulls_first=True), "instance_id"]
    return to_frame(h.select(columns).order_by(order).to_pyarrow())


def _made(
    about: str,
    title: str,
    severity: str,
    why: str,
    caveats: str,
    span: tuple[pd.Timestamp, pd.Timestamp],
    peers: Iterable[str] = (),
    *,
    subject: str = SUBJECT,
    interfaces: Iterable[str] = (),
    log_status: str | None = None,
) -> Finding:
    finding = make_finding(
        DETECTOR,
        subject,
        peers,
        Traffic((), None, *span),
        severity=severity,
        score=1.0,
        title=title,
        summary=why,
        caveats=caveats,
        about=about,
    )
    evidence = replace(finding.evidence, interfaces=tuple(interfaces), log_status=log_status)
    return replace(finding, evidence=evidence)


def _name(interface: str, address: pd.Series) -> str:
    return f"{interface} ({address[interface]})" if interface in address else interface


def _time(moment: pd.Timestamp) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _skipped(seen: pd.DataFrame, address: pd.Series) -> list[Finding]:
    rows = seen[seen["lost"] > 0].sort_values(["lost_s", "interface_id"], ascending=[False, True])
    if rows.empty:
        return []
    told = [
        f"{_name(row.interface_id, address)} {format_duration(row.lost_s)} between"
        f" {_time(row.lost_first)}"
        f" and {_time(row.lost_last)}"
        for row in rows.itertuples()
    ]
    why = (
        f"AWS left records out (SKIPDATA) in {format_count(int(rows['lost'].sum()), 'window')} of"
        f" {format_count(len(rows), 'interface')}, {format_duration(float(rows['lost_s'].sum()))}"
        f" in all:"
        f" {list_some(told)} (UTC)."
    )
    return [
        _made(
            "skipdata",
            "Records left out by AWS",
            "low",
            why,
            "How much was left out nobody knows; load does it, and a flood may be why.",
            (rows["lost_first"].min(), rows["lost_last"].max()),
            [address[one] for one in rows["interface_id"] if one in address],
            interfaces=rows["interface_id"].tolist(),
            log_status="SKIPDATA",
        )
    ]


def _gaps(
    seen: pd.DataFrame, holes: list[tuple[pd.Timestamp, pd.Timestamp]], address: pd.Series
) -> list[Finding]:
    told = [f"no interface at all from {_time(a)} to {_time(b)}" for a, b in holes]
    times = list(holes)
    alike: dict[tuple[pd.Timestamp, pd.Timestamp], list[str]] = {}
    for row in seen[seen["dense"].astype(bool)].itertuples():
        for gap in row.gaps:
            since, until = (pd.Timestamp(gap[name]) for name in ("since", "until"))
            if not any(a - _LATER <= since and until <= b + _LATER for a, b in holes):
                key = since.floor("10min"), until.ceil("10min")
                alike.setdefault(key, []).append(row.interface_id)
    for (since, until), who in sorted(alike.items(), key=lambda one: (-len(one[1]), one[0])):
        names = list_some(_name(one, address) for one in who)
        told.append(f"{names} from {_time(since)} to {_time(until)}")
        times.append((since, until))
    if not told:
        return []
    return [
        _made(
            "gaps",
            "Gaps in the logs",
            "low",
            f"The logs pause without a NODATA in {format_count(len(told), 'gap')}:"
            f" {list_some(told)} (UTC).",
            "Files that were not collected, a delivery that failed, a flow log that was deleted and"
            " made again, a stopped instance: the records do not say which.",
            (min(since for since, _until in times), max(until for _since, until in times)),
            [address[one] for who in alike.values() for one in who if one in address],
        )
    ]


def _unseen(
    held: pd.DataFrame, seen: pd.DataFrame, begin: pd.Timestamp, end: pd.Timestamp
) -> list[Finding]:
    if seen.empty:  # logs without interfaces, a transit gateway's
        return []
    rows = held[held["interface_id"].notna() & ~held["interface_id"].isin(seen["interface_id"])]
    rows = rows[rows["known_from"] != "logs"]
    late = rows["valid_from"] > end - _LATER
    gone = rows["valid_until"] < begin
    rows = rows[~late & ~gone].drop_duplicates("interface_id")
    if rows.empty:
        return []
    logged = set(held.loc[held["interface_id"].isin(seen["interface_id"]), "vpc_id"].dropna())
    told = []
    for vpc, group in rows.groupby(rows["vpc_id"].fillna("an unknown VPC"), sort=True):
        whole = "" if vpc in logged else ", of which nothing is logged"
        names = list_some(f"{one.interface_id} ({one.address})" for one in group.itertuples())
        told.append(f"{len(group)} in {vpc}{whole}: {names}")
    new = rows[(rows["known_from"] == "cloudtrail") & (rows["valid_from"] >= begin)]
    why = (
        f"{format_count(len(rows), 'interface')} known from inventory or CloudTrail, none of"
        f" whose records"
        f" the case has: {'; '.join(told[:_SHOWN])}."
    )
    if len(new):
        why += f" Made while the logs ran: {list_some(new['interface_id'])}."
    return [
        _made(
            "unseen",
            "Interfaces that no log shows",
            "medium" if len(new) else "low",
            why,
            "No flow log covers them, its files were not collected, or the inventory is of another"
            " time than the logs. What they did is unknown.",
            (begin, end),
            rows["address"].dropna(),
        )
    ]


def _fell_silent(
    case: Case, seen: pd.DataFrame, held: pd.DataFrame, end: pd.Timestamp
) -> list[Finding]:
    quiet = seen[seen["dense"].astype(bool) & (seen["last"] < end - _NEAR)]
    owners = held.dropna(subset=["interface_id", "instance_id"]).drop_duplicates("interface_id")
    quiet = quiet.merge(owners[["interface_id", "address", "instance_id"]], "inner", "interface_id")
    if quiet.empty:
        return []
    lives = _signs(case, list(quiet["instance_id"]))
    told, rows = [], []
    for row in quiet.itertuples():
        sign = lives.get(row.instance_id)
        if sign is not None and sign[0] > row.last + _LATER:
            told.append(
                f"{row.interface_id} ({row.address}) after {_time(row.last)}, though"
                f" {row.instance_id} {sign[1]} at {_time(sign[0])}"
            )
            rows.append(row)
    if not told:
        return []
    return [
        _made(
            "fell-silent",
            "Interfaces that fell silent while the instance lived",
            "medium",
            f"{format_count(len(told), 'interface')} left no record, NODATA neither:"
            f" {list_some(told)} (UTC).",
            "A flow log that was deleted, narrowed or failed, or files that were not collected. A"
            " role's session may also live on where its credentials were carried to.",
            (min(row.last for row in rows), max(lives[row.instance_id][0] for row in rows)),
            [row.address for row in rows],
        )
    ]


def _signs(case: Case, instances: list[str]) -> dict[str, tuple[pd.Timestamp, str]]:
    """The last sign of life of each instance that is no flow record, and what it was."""
    e, d = case.api_events, case.dns
    session = e.principal_name.re_extract(r"/(m?i-[0-9a-zA-Z]+)$", 1)
    calls = e.mutate(instance=session).filter(_.instance.isin(instances))
    calls = calls.group_by("instance").aggregate(at=_.event_time.max())
    asked = d.filter(d.instance_id.isin(instances)).group_by(instance=d.instance_id)
    found: dict[str, tuple[pd.Timestamp, str]] = {}
    asked = asked.aggregate(at=_.query_time.max())
    for table, what in ((calls, "called AWS"), (asked, "asked DNS")):
        for row in to_frame(table.order_by("instance").to_pyarrow()).itertuples():
            found[row.instance] = max(found.get(row.instance, (row.at, what)), (row.at, what))
    return found


def _set_up(
    case: Case, seen: pd.DataFrame, begin: pd.Timestamp, end: pd.Timestamp
) -> list[Finding]:
    """What the flow logs were not made to record, as far as settings and records tell."""
    files = [set(entry["fields"]) for entry in case.log.evidence if entry["kind"] == "flow-logs"]
    told = coverage.lacking(files) + coverage.settings(case.table("flow_logs"))
    if "action" in case.fields:
        told += coverage.one_sided(case.flows)
    if seen["long"].sum() > 0.05 * seen["records"].sum():
        told.append("windows of up to ten minutes, within which nothing has an order")
    if not told:
        return []
    return [
        _made(
            "set-up",
            "What the flow logs were not set up to record",
            "low",
            f"The logs were set up to tell less than they could: {'; '.join(told)}.",
            "Detectors that need these do without, or say that they cannot.",
            (begin, end),
        )
    ]


def _switched_off(case: Case, seen: pd.DataFrame, end: pd.Timestamp) -> list[Finding]:
    e = case.api_events
    columns = ["event_time", "event_name", "event_id", "principal_name", "principal_arn"]
    columns += ["source_ip", "error_code", "request", "evidence_id", "item"]
    mine = e.filter(e.event_name.isin([*OFF, "CreateFlowLogs"])).select(columns)
    order = ["event_time", "event_id", "evidence_id", "item"]
    rows = to_frame(mine.order_by(order).to_pyarrow())
    rows["who"] = rows["principal_name"].fillna(rows["principal_arn"]).fillna("unknown")
    rows["failed"] = rows["error_code"].notna()
    rows["file"] = rows["evidence_id"].map(
        dict(case.evidence[["evidence_id", "file"]].itertuples(index=False))
    )
    making = rows["event_name"] == "CreateFlowLogs"
    found = []
    for (who, name, failed), group in rows[~making].groupby(["who", "event_name", "failed"]):
        made = rows.loc[making & ~rows["failed"] & (rows["who"] == who), "event_time"]
        first, last = group["event_time"].min(), group["event_time"].max()
        made = made[made.between(first - _NEAR, last + _NEAR)]
        fell = seen[seen["last"].between(first - _LATER, last + 2 * _LATER)]
        silent = fell.loc[fell["last"] < end - _LATER, "interface_id"]
        found.append(
            _switch(
                who, name, failed, group, made if name == "DeleteFlowLogs" else made[:0], silent
            )
        )
    return found


def _switch(
    who: str, name: str, failed: bool, group: pd.DataFrame, made: pd.Series, silent: pd.Series
) -> Finding:
    anew = len(made) > 0
    ids = {one for text in group["request"].dropna() for one in re.findall(r"\bfl-\w+", text)}
    times = list_some(dict.fromkeys(map(_time, group["event_time"])))
    cited = list_some(
        f"{row.event_id or 'one without id'} in {row.file}" for row in group.itertuples()
    )
    why = (
        f"{who} {'tried to switch' if failed else 'switched'} off {OFF[name]} with {name}"
        f"{f' of {list_some(sorted(ids))}' if ids else ''} from"
        f" {list_some(sorted(set(group['source_ip'].dropna())))} at {times} UTC (event {cited})."
    )
    if failed:
        why += f" It was refused: {list_some(sorted(set(group['error_code'])))}."
    elif name == "DeleteFlowLogs":
        fell = f": {list_some(silent)}" if len(silent) else ""
        why += f" {format_count(len(silent), 'interface')} left no record from then on{fell}."
    if anew:
        why += f" The same principal called CreateFlowLogs at {_time(made.iloc[0])}."
    return _made(
        f"{name}|{failed}",
        f"Logging {'changed' if anew else 'switched off'}{', refused' if failed else ''}",
        "medium" if failed else "low" if anew else "high",
        why,
        "Deleting and making anew is how a format is changed: compare the fields before and after."
        if anew
        else "Infrastructure code that takes a VPC down deletes its flow logs too. What was"
        " recorded before stays.",
        (group["event_time"].min(), group["event_time"].max()),
        [one for one in group["source_ip"].dropna() if is_address(one)],
        subject=who,
    )
