"""Service abuse: whose AWS credentials are used from where they do not belong, and for what?

Question: are an instance role's credentials used from elsewhere than its instance, are one
principal's used in two networks at once, and does a host turn to AWS services that are new to it?

Method: three counts.

* Carried off: CloudTrail names a role session after its instance (role/i-…). Its calls must come
  from that instance's addresses, or the public ones of the NAT gateways that serve its VPC; that is
  what GuardDuty's InstanceCredentialExfiltration asks. Where no inventory knows a VPC's way out, an
  outside address from which three instances' sessions call passes for it, or where there is none,
  that of most calls of this one, and the caveats say so. High; medium from another VPC's NAT
  gateway.
* In two places: a user, or one session of a role that is no instance's, calls from two to four
  networks (/16, /32), first from the one, then the other and back, an hour apart at most. Medium:
  nobody travels like that, though a VPN that is switched on and off looks so.
* New services: what a host uses of AWS, by the names it looks up, by its role's calls, and by the
  logs' own word (pkt-dst-aws-service), in the second half of the evidence and not in the first, a
  day at least, where none of its neighbours (/24, /64) used it and fewer than three hosts began to.
  Agents' services (SSM, logs, metrics, keys) count for nothing. Low; medium for services that give
  or watch over power (IAM, Organizations, Secrets Manager, the EC2 API, CloudTrail, …).

Fires falsely: an egress proxy that no inventory lists, a new release that needs a new service.
Cannot see: credentials used on the instance itself by an intruder; data events that no trail
records (S3 objects); the service behind an address that logs, DNS and CloudTrail do not name; what
goes to an interface endpoint, without DNS logs.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import pandas as pd

from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, limit_low, make_finding
from flowbench.enrich import service_usage as uses
from flowbench.schema import to_frame
from flowbench.text import format_count, format_duration, is_address, list_some

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowbench.case import Case

# Services of agents and of every SDK's start: they come and go with updates.
AGENTS = frozenset(
    {"ssm", "ssmmessages", "ec2messages", "logs", "monitoring", "sts", "kms", "xray"}
)
POWER = frozenset(
    {"iam", "organizations", "sso", "identitystore", "secretsmanager", "ec2", "lambda"}
    | {"cloudtrail", "guardduty", "signin", "securityhub", "config"}
)

_NAME = "service-abuse"
_DAY = 86_400
_HOUR = pd.Timedelta(hours=1)
_SHOWN = 5
_CALLS = ["event_time", "event_name", "event_id", "principal_name", "principal_type"]
_CALLS += ["access_key_id", "source_ip", "error_code", "evidence_id", "item"]


DETECTOR = Detector(
    id=_NAME,
    title="Unusual AWS service access",
    question="Are AWS credentials or services used from or by unexpected hosts?",
    technique="T1078.004",
    needs=frozenset(),
)


def find(case: Case, *, most_low: int = 20) -> list[Finding]:
    """One finding per role session, per principal, and per host with new services.

    ``most_low``: so many findings of severity low are told, the earliest.
    """
    found: list[Finding] = []
    called: list[pd.DataFrame] = []
    if case.has("api_events"):
        h = case.address_assignments
        columns = ["address", "instance_id", "service", "vpc_id", "public_addresses"]
        held = to_frame(h.select(columns).order_by(columns[:4]).to_pyarrow())
        rows = _calls(case)
        found += _carried(rows[rows["instance"].notna()], held)
        found += _two_places(rows[rows["instance"].isna()])
        called.append(uses.services_called(case.api_events, held))
    found += _new_services(case, called)
    return limit_low(
        found, most_low, lambda finding: finding.first_seen, "hosts have such new services"
    )


def _calls(case: Case) -> pd.DataFrame:
    """The calls of role sessions and users, with the instance whose session it is, and the file."""
    e = case.api_events
    calls = e.filter(e.principal_type.isin(["AssumedRole", "IAMUser"]), e.source_ip.notnull())
    order = ["event_time", "event_id", "evidence_id", "item"]
    rows = to_frame(calls.select(_CALLS).order_by(order).to_pyarrow())
    rows = rows[rows["source_ip"].map(is_address).astype(bool)]
    rows["instance"] = rows["principal_name"].str.extract(uses.INSTANCE_SESSION, expand=False)
    sources = case.evidence[["evidence_id", "file"]].itertuples(index=False)
    rows["file"] = rows["evidence_id"].map(dict(sources))
    return rows


def _carried(calls: pd.DataFrame, held: pd.DataFrame) -> list[Finding]:
    """Sessions of instances that call from where their instance is not."""
    gates = held[held["service"] == "nat-gateway"]
    shared = calls.groupby("source_ip")["instance"].nunique()
    found = []
    for instance, mine in calls.groupby("instance", sort=True):
        own = held[held["instance_id"] == instance]
        vpcs = set(own["vpc_id"].dropna())
        ways = _public(gates[gates["vpc_id"].isin(vpcs)])
        outs = ways | _public(own)
        known = set(own["address"]) | outs
        strange = mine[~mine["source_ip"].isin(known)]
        guessed = ""
        if not outs:
            # Nobody knows its way out: what others take too, or it mostly takes, passes for one.
            count = strange["source_ip"].map(strange["source_ip"].value_counts())
            passes = strange["source_ip"].map(shared) >= 3
            passes = passes if passes.any() else count * 2 > len(mine)
            passes &= ~strange["source_ip"].isin(set(held["address"]) | _public(held))
            if passes.any():
                guessed = list_some(sorted(set(strange.loc[passes, "source_ip"])))
            strange = strange[~passes]
        if strange.empty:
            continue
        elsewhere = set(strange["source_ip"]) <= _public(gates)
        inside = strange["source_ip"].isin(set(held["address"]) | _public(held)).all()
        home = own["address"].min() if len(own) else str(instance)
        usual = sorted(set(mine.loc[~mine["source_ip"].isin(strange["source_ip"]), "source_ip"]))
        where = "which the case does not know as its own"
        if elsewhere or inside:
            where = "the NAT gateway of another VPC" if elsewhere else "another host of the case"
        why = (
            f"The role session {mine['principal_name'].iloc[0]} of {home} called AWS"
            f" {format_count(len(strange), 'time')} from"
            f" {list_some(sorted(set(strange['source_ip'])))},"
            f" {where}: {_told(strange)}. Its other {len(mine) - len(strange)} calls came from"
            f" {list_some(usual) or 'no other address'}. {_cited(strange)}"
        )
        caveats = "A proxy, or a NAT gateway or address that no inventory lists, looks the same."
        if own.empty:
            caveats += " No evidence gives the addresses of the instance."
        if guessed:
            caveats += f" {guessed} is assumed to be its egress address."
        severity = "medium" if elsewhere or own.empty else "high"
        found.append(
            _made(
                "AWS credentials used from an unexpected location",
                severity,
                home,
                strange["source_ip"],
                strange,
                why,
                caveats,
                f"carried|{instance}",
            )
        )
    return found


def _two_places(calls: pd.DataFrame) -> list[Finding]:
    """Principals that call from one network, another, and the first again, within hours."""
    user = calls["principal_type"] == "IAMUser"
    calls = calls.assign(
        who=calls["principal_name"].where(user, calls["access_key_id"]),
        network=calls["source_ip"].map(_network),
    )
    found = []
    for who, mine in calls.dropna(subset=["who", "network"]).groupby("who", sort=True):
        if not 2 <= mine["network"].nunique() <= 4:
            continue
        moved = mine["network"] != mine["network"].shift()
        near = mine["event_time"].diff() <= _HOUR
        turns = mine[moved & near]
        if len(turns) < 2:
            continue
        name = mine["principal_name"].iloc[0]
        by = "" if name == who else f" ({who})"
        shares = "; ".join(
            f"{list_some(sorted(set(group['source_ip'])))} {len(group)}x"
            for _network_, group in mine.groupby("network", sort=True)
        )
        why = (
            f"{name}{by} called AWS from {mine['network'].nunique()} networks alternately, changing"
            f" {len(turns)} times within an hour: {shares}. {_cited(turns)}"
        )
        found.append(
            _made(
                "AWS credentials used from an unexpected location",
                "medium",
                str(name),
                mine["source_ip"],
                mine,
                why,
                "A VPN that is switched on and off, or a program of the same user elsewhere, looks"
                " the same.",
                f"places|{who}",
            )
        )
    return found


def _new_services(case: Case, called: list[pd.DataFrame]) -> list[Finding]:
    """Hosts that turn to AWS services which neither they nor their like used before.

    ``called`` is what CloudTrail tells of that, if there is any (see ``used.called``).
    """
    sources = {}
    if case.has("dns"):
        sources["DNS"] = uses.services_looked_up(case.dns)
    if "pkt_dst_aws_service" in case.fields:
        sources["flow logs"] = uses.services_logged(case.flows)
    parts = called + [uses.summarize_usage(table, how) for how, table in sources.items()]
    if not any(map(len, parts)):
        return []
    used, p = pd.concat(parts, ignore_index=True), case.connection_summaries
    ends = p.aggregate(first=p.first_seen.min(), last=p.last_seen.max()).to_pandas().iloc[0]
    if pd.isna(ends["first"]):
        return []
    seconds = (ends["last"] - ends["first"]).total_seconds()
    if seconds < 1.5 * _DAY:
        return []
    lesson = min(7 * _DAY, max(_DAY, seconds / 2))
    learned = ends["first"] + pd.Timedelta(seconds=lesson)
    used = used[~used["service"].isin(AGENTS)]
    used = used.assign(near=used["host"].map(_neighbours))
    before = used[used["first"] < learned]
    usual = set(before[["near", "service"]].itertuples(index=False, name=None))
    new = [key not in usual for key in used[["near", "service"]].itertuples(index=False, name=None)]
    used = used[pd.Series(new, index=used.index, dtype=bool)]
    used = used[used.groupby("service")["host"].transform("nunique") < 3]
    old = p.filter(p.first_seen < learned, p.initiator.isin(sorted(set(used["host"]))))
    alive = set(old.select("initiator").distinct().to_pandas()["initiator"])
    used = used[used["host"].isin(alive)]
    peers = uses.service_addresses(sources.values(), used) if len(used) else {}
    found = []
    for host, mine in used.groupby("host", sort=True):
        told = "; ".join(
            f"{row['service']} from {row['first']:%Y-%m-%d %H:%M} on ({row['how']}, {row['n']}x)"
            for row in mine.sort_values(["first", "service", "how"]).head(_SHOWN).to_dict("records")
        )
        power = sorted(set(mine["service"]) & POWER)
        why = (
            f"{host} began to use {format_count(mine['service'].nunique(), 'AWS service')} that"
            f" neither it nor a neighbour used in the first {format_duration(lesson)}: {told}."
        )
        if power:
            why += f" Services that grant or monitor permissions: {list_some(power)}."
        found.append(
            _made(
                "Unusual AWS service access",
                "medium" if power else "low",
                str(host),
                peers.get(host, []),
                mine.rename(columns={"first": "event_time"}),
                why,
                f"A new release may need a new service. Data sources: {_known(case)}.",
                "services",
                last=mine["last"].max(),
            )
        )
    return found


def _known(case: Case) -> str:
    """Which of the three sources the case has."""
    there = {
        "DNS query logs": case.has("dns"),
        "CloudTrail": case.has("api_events"),
        "pkt-dst-aws-service": "pkt_dst_aws_service" in case.fields,
    }
    have = ", ".join(name for name, has in there.items() if has)
    lack = ", ".join(name for name, has in there.items() if not has)
    return have + (f"; the case has no {lack}" if lack else "")


def _made(
    title: str,
    severity: str,
    subject: str,
    peers: Iterable[str],
    rows: pd.DataFrame,
    why: str,
    caveats: str,
    about: str,
    *,
    last: pd.Timestamp | None = None,
) -> Finding:
    last = rows["event_time"].max() if last is None else last
    return make_finding(
        DETECTOR,
        subject,
        peers,
        Traffic((), None, rows["event_time"].min(), last),
        severity=severity,
        score={"high": 0.9, "medium": 0.6, "low": 0.3}[severity],
        summary=why,
        caveats=caveats,
        title=title,
        about=about,
    )


def _told(calls: pd.DataFrame) -> str:
    """The calls of most use first, and how many were refused."""
    counts = (
        calls["event_name"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    )
    refused = int(calls["error_code"].notna().sum())
    return list_some(f"{name} {n}x" for name, n in counts.items()) + f"; {refused} denied or failed"


def _cited(calls: pd.DataFrame) -> str:
    first = calls.iloc[0]
    return (
        f"The first: event {first['event_id'] or 'without id'} at"
        f" {first['event_time']:%Y-%m-%d %H:%M:%S} UTC, in {first['file']}."
    )


def _public(held: pd.DataFrame) -> set[str]:
    lists = held["public_addresses"]
    return {one for addresses in lists if addresses is not None for one in addresses}


def _network(text: str) -> str | None:
    """The /16 or /32 of an address that lies outside; None for a private one."""
    address = ipaddress.ip_address(text)
    if any(address in private for private in _PRIVATE):
        return None
    return str(ipaddress.ip_network((text, 16 if address.version == 4 else 32), strict=False))


def _neighbours(text: str) -> str:
    """The /24 or /64 of an address."""
    address = ipaddress.ip_address(text)
    return str(ipaddress.ip_network((text, 24 if address.version == 4 else 64), strict=False))


_PRIVATE = [
    ipaddress.ip_network(net)
    for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]
