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
CloudTrail name, and, without DNS query logs, traffic to interface endpoints. What credentials are
used for, from wherever, is asked by api-abuse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from flowbench.detect.api_calls import count_names, select_events
from flowbench.detect.credential_use import (
    UnexpectedUse,
    find_alternating_use,
    find_unexpected_use,
    read_assignments,
    read_calls,
)
from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, limit_low, make_finding
from flowbench.detect.new_services import NewServices, find_new_services
from flowbench.enrich.namesakes import split_account
from flowbench.selector import ApiEventSelector, DnsSelector
from flowbench.text import format_count, format_duration, list_some

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowbench.case import Case

# Services that grant or monitor permissions, or run code with them.
PERMISSION_SERVICES = frozenset(
    {"iam", "organizations", "sso", "identitystore", "secretsmanager", "ec2", "lambda"}
    | {"cloudtrail", "guardduty", "signin", "securityhub", "config"}
)

_CREDENTIALS_TITLE = "AWS credentials used from an unexpected location"
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
    assignments = None
    if case.has("api_events"):
        assignments = read_assignments(case)
        calls = read_calls(case)
        findings += map(_report_unexpected, find_unexpected_use(calls, assignments))
        others = calls[calls["instance"].isna()]
        findings += [
            _report_alternating(credentials, rows, changes)
            for credentials, rows, changes in find_alternating_use(others, within=_LONGEST_CHANGE)
        ]
    findings += [_report_services(case, new) for new in find_new_services(case, assignments)]
    return limit_low(
        findings, most_low, lambda finding: finding.first_seen, "hosts have such new services"
    )


def _report_unexpected(use: UnexpectedUse) -> Finding:
    """Report calls of an instance's session that do not come from the instance."""
    sources = sorted(set(use.calls["source_ip"]))
    expected = list_some(sorted(set(use.expected["source_ip"])))
    session = pd.concat([use.calls, use.expected])["principal_name"].sort_index().iloc[0]
    failed = int(use.calls["error_code"].notna().sum())
    others = f"Its other {len(use.expected)} calls came from {expected}."
    if use.expected.empty:
        others = "It made no other calls."
    summary = (
        f"The role session {session} of {use.host} called AWS"
        f" {format_count(len(use.calls), 'time')} from {list_some(sources)},"
        f" {_ORIGINS[use.origin]}: {count_names(use.calls)}; {failed} denied or failed. {others}"
    )
    if use.users:
        summary += f" The user {list_some(use.users)} calls from there too."
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
        api_events=select_events(use.calls),
    )


def _report_alternating(credentials: str, calls: pd.DataFrame, changes: pd.DataFrame) -> Finding:
    """Report credentials (user name or access key ID) that are used from networks alternately."""
    principal = str(calls["principal_name"].iloc[0])
    name, account = split_account(credentials)
    key = "" if principal == credentials else f" ({credentials})"
    shares = "; ".join(
        f"{list_some(sorted(set(group['source_ip'])))} {len(group)}x"
        for _network, group in calls.groupby("network", sort=True)
    )
    summary = (
        f"{principal}{key} called AWS from {calls['network'].nunique()} networks alternately,"
        f" changing {len(changes)} times within an hour: {shares}."
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
        about=f"places|{name}|{account}" if account else f"places|{name}",
        api_events=select_events(calls),
    )


def _report_services(case: Case, new: NewServices) -> Finding:
    """Report a host with AWS services that are new to it and its peer group."""
    listed = "; ".join(
        f"{row['service']} from {row['first']:%Y-%m-%d %H:%M} on ({row['how']}, {row['n']}x)"
        for row in new.usage.head(_MOST_LISTED).to_dict("records")
    )
    count = format_count(new.usage["service"].nunique(), "AWS service")
    summary = (
        f"{new.host} first accessed {count} that no host in its peer group used in the first"
        f" {format_duration(new.baseline)}: {listed}."
    )
    permissions = sorted(set(new.usage["service"]) & PERMISSION_SERVICES)
    if permissions:
        summary += f" Services that grant or monitor permissions: {list_some(permissions)}."
    return _make_finding(
        new.host,
        new.addresses,
        pd.concat([new.usage["first"], new.usage["last"]]),
        title=DETECTOR.title,
        severity="medium" if permissions else "low",
        summary=summary,
        caveats=f"A new release may need a new service. Data sources: {_list_data_sources(case)}.",
        about="services",
        api_events=new.api_events,
        dns=new.dns,
        flows=True,
    )


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


def _make_finding(  # noqa: PLR0913  # the fields of a finding
    subject: str,
    peers: Iterable[str],
    times: pd.Series,
    *,
    title: str,
    severity: str,
    summary: str,
    caveats: str,
    about: str,
    api_events: ApiEventSelector | None,
    dns: DnsSelector | None = None,
    flows: bool = False,
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
        api_events=api_events,
        dns=dns,
        flows=flows,
    )
