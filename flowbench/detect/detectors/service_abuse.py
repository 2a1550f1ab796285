"""Service abuse: which AWS credentials and services are used by or from unexpected hosts?

Question: are an instance role's credentials used from elsewhere than its instance, are one
principal's credentials used from two networks at once, and does a host use AWS services that are
new to it?

Method: three checks. The thresholds are this project's.

* Instance credentials used elsewhere (CloudTrail): a role session named after an instance
  (role/i-…) calls from another address than the instance's or its VPC's NAT gateways', as
  GuardDuty's InstanceCredentialExfiltration findings ask. Where the inventory knows no egress
  address, one is assumed, and the caveats say so (see detect.credential_use).
* Concurrent use from several networks (CloudTrail): a user, or one session of a role that is no
  instance's, calls from two to four networks (/16, /32 for IPv6), alternately, with changes from
  one to another and back within an hour each ("impossible travel").
* New AWS services: the services that a host uses by its DNS look-ups, its role's API calls and
  pkt-dst-aws-service in the flow logs, after a baseline period (half of the evidence, at least a
  day, at most seven), if the host has traffic in that period, no host of its subnet (/24, /64) used
  the service then, and fewer than three hosts began to. Services of agents (SSM, logs, metrics,
  keys) are left out.

Severity: high for instance credentials used elsewhere; medium if all these calls come from another
VPC's NAT gateway, or no evidence gives the instance's addresses. Medium for concurrent use. Low for
new services; medium for those that grant or monitor permissions (IAM, Organizations, Secrets
Manager, the EC2 API, CloudTrail, …).

False positives: an egress proxy that no inventory lists, a VPN that is switched on and off, a new
release that needs a new service.

Limitations: not detected are credentials that an intruder uses on the instance itself, data events
that no trail records (S3 objects), AWS services whose addresses neither flow logs, DNS nor
CloudTrail name, and, without DNS query logs, traffic to interface endpoints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from flowbench.detect.credential_use import (
    UnexpectedUse,
    find_alternating_use,
    find_unexpected_use,
    read_assignments,
    read_calls,
)
from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, limit_low, make_finding
from flowbench.enrich import service_usage
from flowbench.enrich.ownership import SUBNET, neighbourhood
from flowbench.text import format_count, format_duration, list_some

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowbench.case import Case

# Services of agents and of every SDK's start: their use changes with updates.
AGENT_SERVICES = frozenset(
    {"ssm", "ssmmessages", "ec2messages", "logs", "monitoring", "sts", "kms", "xray"}
)
# Services that grant or monitor permissions, or run code with them.
PERMISSION_SERVICES = frozenset(
    {"iam", "organizations", "sso", "identitystore", "secretsmanager", "ec2", "lambda"}
    | {"cloudtrail", "guardduty", "signin", "securityhub", "config"}
)

_CREDENTIALS_TITLE = "AWS credentials used from an unexpected location"
_DAY = 86_400  # seconds
_LONGEST_CHANGE = pd.Timedelta(hours=1)
_MOST_LISTED = 5  # services in a summary
_ORIGINS = {
    "nat-gateway": "the NAT gateway of another VPC",
    "internal": "another internal host",
    "external": "which is not in the address inventory",
}

DETECTOR = Detector(
    id="service-abuse",
    title="Unusual AWS service access",
    question="Are AWS credentials or services used from or by unexpected hosts?",
    technique="T1078.004",
    needs=frozenset(),
)


def find(case: Case, *, most_low: int = 20) -> list[Finding]:
    """Detect unexpected use of AWS credentials and services.

    Args:
        case: The case.
        most_low: Most findings of severity low: the earliest.

    Returns:
        One finding per instance, per principal's credentials, and per host with new services.
    """
    findings: list[Finding] = []
    usage: list[pd.DataFrame] = []
    if case.has("api_events"):
        assignments = read_assignments(case)
        calls = read_calls(case)
        findings += map(_report_unexpected, find_unexpected_use(calls, assignments))
        others = calls[calls["instance"].isna()]
        findings += [
            _report_alternating(credentials, rows, changes)
            for credentials, rows, changes in find_alternating_use(others, within=_LONGEST_CHANGE)
        ]
        usage.append(service_usage.services_called(case.api_events, assignments))
    findings += _find_new_services(case, usage)
    return limit_low(
        findings, most_low, lambda finding: finding.first_seen, "hosts have such new services"
    )


def _report_unexpected(use: UnexpectedUse) -> Finding:
    """Report calls of an instance's session that do not come from the instance."""
    sources = sorted(set(use.calls["source_ip"]))
    expected = list_some(sorted(set(use.expected["source_ip"])))
    session = pd.concat([use.calls, use.expected])["principal_name"].sort_index().iloc[0]
    summary = (
        f"The role session {session} of {use.host} called AWS"
        f" {format_count(len(use.calls), 'time')} from {list_some(sources)},"
        f" {_ORIGINS[use.origin]}: {_list_calls(use.calls)}. Its other {len(use.expected)} calls"
        f" came from {expected or 'no other address'}. {_cite_first(use.calls)}"
    )
    caveats = (
        "A proxy, or a NAT gateway or address that no inventory lists, causes the same records."
    )
    if not use.has_addresses:
        caveats += " No evidence gives the addresses of the instance."
    if use.assumed_egress:
        caveats += f" {list_some(use.assumed_egress)} is assumed to be its egress address."
    is_uncertain = use.origin == "nat-gateway" or not use.has_addresses
    return _make_finding(
        use.host,
        sources,
        use.calls["event_time"],
        title=_CREDENTIALS_TITLE,
        severity="medium" if is_uncertain else "high",
        summary=summary,
        caveats=caveats,
        about=f"carried|{use.instance}",
    )


def _report_alternating(credentials: str, calls: pd.DataFrame, changes: pd.DataFrame) -> Finding:
    """Report credentials (user name or access key ID) that are used from networks alternately."""
    principal = str(calls["principal_name"].iloc[0])
    key = "" if principal == credentials else f" ({credentials})"
    shares = "; ".join(
        f"{list_some(sorted(set(group['source_ip'])))} {len(group)}x"
        for _network, group in calls.groupby("network", sort=True)
    )
    summary = (
        f"{principal}{key} called AWS from {calls['network'].nunique()} networks alternately,"
        f" changing {len(changes)} times within an hour: {shares}. {_cite_first(changes)}"
    )
    return _make_finding(
        principal,
        calls["source_ip"],
        calls["event_time"],
        title=_CREDENTIALS_TITLE,
        severity="medium",
        summary=summary,
        caveats="A VPN that is switched on and off, or a program of the same user elsewhere, causes"
        " the same records.",
        about=f"places|{credentials}",
    )


def _find_new_services(case: Case, usage: list[pd.DataFrame]) -> list[Finding]:
    """Detect hosts that use AWS services which neither they nor their subnet used before.

    ``usage`` is the usage by API calls, if there are any (see ``service_usage.services_called``).
    """
    sources = {}
    if case.has("dns"):
        sources["DNS"] = service_usage.services_looked_up(case.dns)
    if "pkt_dst_aws_service" in case.fields:
        sources["flow logs"] = service_usage.services_logged(case.flows)
    usage = usage + [service_usage.summarize_usage(table, how) for how, table in sources.items()]
    baseline = _baseline_period(case) if any(map(len, usage)) else None
    if baseline is None:
        return []
    start, end = baseline
    length = format_duration((end - start).total_seconds())
    new = _select_new_usage(case, pd.concat(usage, ignore_index=True), end)
    addresses = service_usage.service_addresses(sources.values(), new) if len(new) else {}
    findings = []
    for host, rows in new.groupby("host", sort=True):
        listed = "; ".join(
            f"{row['service']} from {row['first']:%Y-%m-%d %H:%M} on ({row['how']}, {row['n']}x)"
            for row in rows.sort_values(["first", "service", "how"])
            .head(_MOST_LISTED)
            .to_dict("records")
        )
        summary = (
            f"{host} first accessed {format_count(rows['service'].nunique(), 'AWS service')} that"
            f" no host in its peer group used in the first {length}: {listed}."
        )
        permissions = sorted(set(rows["service"]) & PERMISSION_SERVICES)
        if permissions:
            summary += f" Services that grant or monitor permissions: {list_some(permissions)}."
        findings.append(
            _make_finding(
                str(host),
                addresses.get(host, []),
                pd.concat([rows["first"], rows["last"]]),
                title=DETECTOR.title,
                severity="medium" if permissions else "low",
                summary=summary,
                caveats="A new release may need a new service. Data sources:"
                f" {_list_data_sources(case)}.",
                about="services",
            )
        )
    return findings


def _baseline_period(case: Case) -> tuple[pd.Timestamp, pd.Timestamp] | None:
    """Return the baseline period; None for evidence of less than one and a half days."""
    c = case.connection_summaries
    period = c.aggregate(first=c.first_seen.min(), last=c.last_seen.max()).to_pandas().iloc[0]
    start, end = period["first"], period["last"]
    if pd.isna(start) or (seconds := (end - start).total_seconds()) < 1.5 * _DAY:
        return None
    return start, start + pd.Timedelta(seconds=min(7 * _DAY, max(_DAY, seconds / 2)))


def _select_new_usage(case: Case, usage: pd.DataFrame, end: pd.Timestamp) -> pd.DataFrame:
    """Select the usage (``service_usage.summarize_usage``) that is new after the baseline's end."""
    c = case.connection_summaries
    usage = usage[~usage["service"].isin(AGENT_SERVICES)]
    subnets = usage["host"].map(lambda host: neighbourhood(host, SUBNET))
    keys = subnets + " " + usage["service"]
    usage = usage[~keys.isin(set(keys[usage["first"] < end]))]
    usage = usage[usage.groupby("service")["host"].transform("nunique") < 3]
    early = c.filter(c.first_seen < end, c.initiator.isin(sorted(set(usage["host"]))))
    known_hosts = set(early.select("initiator").distinct().to_pandas()["initiator"])
    return usage[usage["host"].isin(known_hosts)]


def _list_data_sources(case: Case) -> str:
    """List which of the three data sources the case has, and which it lacks."""
    is_present = {
        "DNS query logs": case.has("dns"),
        "CloudTrail": case.has("api_events"),
        "pkt-dst-aws-service": "pkt_dst_aws_service" in case.fields,
    }
    present = ", ".join(name for name, present in is_present.items() if present)
    missing = ", ".join(name for name, present in is_present.items() if not present)
    return present + (f"; the case has no {missing}" if missing else "")


def _make_finding(
    subject: str,
    peers: Iterable[str],
    times: pd.Series,
    *,
    title: str,
    severity: str,
    summary: str,
    caveats: str,
    about: str,
) -> Finding:
    """Make a finding of API calls or look-ups, which has times but no traffic of its own."""
    return make_finding(
        DETECTOR,
        subject,
        peers,
        Traffic((), None, times.min(), times.max()),
        severity=severity,
        score={"high": 0.9, "medium": 0.6, "low": 0.3}[severity],
        summary=summary,
        caveats=caveats,
        title=title,
        about=about,
    )


def _list_calls(calls: pd.DataFrame) -> str:
    """List the API calls, the most frequent first, and how many were denied or failed."""
    counts = calls["event_name"].value_counts().sort_index()
    counts = counts.sort_values(ascending=False, kind="stable")
    failed = int(calls["error_code"].notna().sum())
    return list_some(f"{name} {n}x" for name, n in counts.items()) + f"; {failed} denied or failed"


def _cite_first(calls: pd.DataFrame) -> str:
    """Cite the first call with its event ID, time and evidence file."""
    first = calls.iloc[0]
    return (
        f"The first: event {first['event_id'] or 'without id'} at"
        f" {first['event_time']:%Y-%m-%d %H:%M:%S} UTC, in {first['file']}."
    )
