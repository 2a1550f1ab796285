"""Remote access: which external addresses hold administrative sessions with internal hosts?

Question: from which external address did somebody log in to an internal host over SSH, RDP, WinRM,
VNC or Telnet, and does anything else point to an intruder?

Method: sessions as enrich.admin_sessions defines them: answered connections to an administration
port that are longer or larger than a failed login (SSHCure's limits, OpenSSH's LoginGraceTime).
That module also defines what belongs to ``scan`` and ``brute-force``. A session from an external
address is normal for many hosts (ATT&CK T1133), so only a ground raises the severity, from other
data sources or the host's own traffic:

* ``api_calls``: principals called the AWS API from the same address (enrich.principals). High if
  one of them made no call in the first quarter of at least a day of API events, else medium; no
  ground if the address itself is known from that quarter, as an administrator's is.
* ``indicator``: a list names the address at the time. High for HIGH_RISK_KINDS, else medium.
* ``failures``: in the 24 h before its first session the address opened at least
  ``min_failures`` connections like failed logins. High. Ten are thirty passwords at ssh's three
  for each connection: Zeek's limit for password guessing.
* ``afterwards``: within ``hours_after`` of a session the host first connected to a mining pool's
  port or to an address of a high-risk indicator (high), or, if it was seen for a day before, to a
  port that it had not used before, except those of web, DNS, NTP and SSH (medium). Medium also
  if an address with a high ground beside this one held a session before the same contacts.

Severity: low without a ground, and that of the most severe ground with one; critical if another
ground stands beside a high one.

Not reported without a ground are the sessions of a network (/24, /48 for IPv6) that held some on
``regular_days`` days, from the first quarter of the logs on; what the host did afterwards is no
ground then. The sources of a service that ``public_networks`` external networks log in to, such as
an SFTP server, share a finding for each host, of severity low, or high if the host afterwards
connected to a pool or a high-risk indicator. Of the other findings without a ground, the
``most_low`` with most sessions are kept. A corporate network on an allow list is suppressed.

False positives: an administrator's or contractor's first session from a new address, medium if
API calls come from there too. A tarpit that keeps guessers waiting.

Limitations: a login is inferred, not recorded; a session with few commands is as small as a failed
login and is not detected. Not seen are sessions through SSM Session Manager (the host opens them),
a VPN or a load balancer that hides the client, and services on other ports. An intruder who was
active from the first day on may be usual. Within one capture window the order of events is unknown.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import pandas as pd

from flowbench.detect import remote_sources
from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, make_finding, sum_traffic
from flowbench.detect.remote_grounds import (
    Evidence,
    Ground,
    collect_evidence,
    combine_severity,
    explain_contacts,
    find_grounds,
    first_quarter,
    judge_contacts,
)
from flowbench.enrich.admin_sessions import MOST_LOGIN_PACKETS, mark_sessions
from flowbench.enrich.ports import label
from flowbench.selector import ApiEventSelector
from flowbench.text import format_bytes, format_count, format_period, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

DETECTOR = Detector(
    id="remote-access",
    title="Remote access from an external address",
    question="Which external addresses hold administrative sessions with internal hosts?",
    technique="T1133",
    needs=frozenset(
        {"srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "start", "end"}
    ),
)

_SOURCE = ["host", "peer"]
_SCORES = {"low": 0.4, "medium": 0.6, "high": 0.8, "critical": 0.95}
_SHORT = "The logs are shorter than a day, too short for a baseline of usual addresses."


def find(
    case: Case,
    *,
    ports: Collection[int] = tuple(MOST_LOGIN_PACKETS),
    packet_factor: float = 1.0,
    grace_time: float = 120,
    min_failures: int = 10,
    hours_after: float = 6,
    regular_days: int = 3,
    public_networks: int = 20,
    most_low: int = 20,
) -> list[Finding]:
    """Return one finding per internal host and external address; a public service's are one.

    Args:
        case: The case.
        ports: TCP ports of remote administration.
        packet_factor: Factor of the most packets of a failed login (MOST_LOGIN_PACKETS).
        grace_time: Seconds after which a server ends a connection without a login.
        min_failures: Least connections like failed logins before the first session.
        hours_after: Hours after a session in which the host's new contacts count.
        regular_days: Least days on which a network's sessions make it usual.
        public_networks: Least external networks whose sessions make a service public.
        most_low: Most findings of single sources without a ground.
    """
    marked = mark_sessions(
        case.connections,
        ports=ports,
        packet_factor=packet_factor,
        grace_time=grace_time,
    )
    quarter = first_quarter(*case.span)
    with case.materialized(marked) as logins:
        sessions = logins.filter(logins.is_session)
        sources = remote_sources.read_sources(sessions, quarter)
        if sources.empty:
            return []
        sources["is_regular"] = sources["is_early"] & (sources["days"] >= regular_days)
        networks = sources.groupby(["host", "service_port"])["network"].transform("nunique")
        sources["is_public"] = networks >= public_networks
        evidence = collect_evidence(
            case, logins, sources, min_failures=min_failures, hours_after=hours_after
        )
    suspect = {}
    for source, rows in evidence.select(sources).groupby(_SOURCE, sort=True):
        found = find_grounds(rows, evidence, hours_after)
        if grounds := list(found):
            suspect[source] = grounds
    suspect = explain_contacts(suspect)
    # Of the thousands of sources of a busy network only some need a table of their own.
    by_source = sources.groupby(_SOURCE, sort=True)
    others = by_source.agg(
        is_public=("is_public", "all"),
        is_regular=("is_regular", "all"),
        sessions=("sessions", "sum"),
    )
    others = others.drop(index=list(suspect))
    public = sources.join(others[others["is_public"]][[]], on=_SOURCE, how="inner")
    plain = others[~others["is_public"] & ~others["is_regular"]]
    caveats = [_SHORT] if quarter is None else []
    more = [f"{len(plain)} external addresses held sessions; {most_low} are listed."]
    more = more if len(plain) > most_low else []
    listed = plain.sort_values("sessions", ascending=False, kind="stable").head(most_low)
    return [
        *(_report_source(by_source.get_group(s), g, caveats) for s, g in suspect.items()),
        *(_report_source(by_source.get_group(s), [], caveats + more) for s in listed.index),
        *(
            _report_public(str(host), rows, evidence, hours_after)
            for host, rows in public.sort_values(_SOURCE, kind="stable").groupby("host", sort=True)
        ),
    ]


def _report_source(rows: pd.DataFrame, grounds: list[Ground], more_caveats: list[str]) -> Finding:
    """Report the sessions of one external address with one host."""
    host, peer = str(rows["host"].iloc[0]), str(rows["peer"].iloc[0])
    severity = combine_severity(grounds)
    traffic = _traffic(rows)
    summary = f"{peer} held {_describe(rows)} with {host} from {_period_and_volume(rows)}."
    caveats = (
        "That a login succeeded is inferred from packets and duration. An administrator's"
        " sessions have the same traffic pattern."
    )
    if any(ground.name == "afterwards" for ground in grounds):
        caveats += " The host's later connections may have another cause than the session."
    is_caller = any(ground.name == "api_calls" for ground in grounds)
    return make_finding(
        DETECTOR,
        host,
        [peer],
        traffic,
        severity=severity,
        score=_SCORES[severity],
        scores={ground.name: _SCORES[ground.severity] for ground in grounds},
        summary=" ".join([summary, *(ground.sentence for ground in grounds)]),
        caveats=" ".join([caveats, *more_caveats]),
        api_events=ApiEventSelector(source_ips=(peer,)) if is_caller else None,
        flows=True,
    )


def _report_public(
    host: str, rows: pd.DataFrame, evidence: Evidence, hours_after: float
) -> Finding:
    """Report the sessions of many networks with one host in one finding."""
    peers = list(dict.fromkeys(rows["peer"]))
    found = [evidence.contacts[host, peer] for peer in peers if (host, peer) in evidence.contacts]
    severe: list[Ground] = []
    if found:
        contacts = pd.concat(found).drop(columns="peer").drop_duplicates().sort_values("at")
        contacts = contacts[contacts["ground"] != "new port"]
        severe = list(judge_contacts(host, contacts if len(contacts) else None, hours_after))
    severity = combine_severity(severe)
    addresses = format_count(len(peers), "external address", "external addresses")
    return make_finding(
        DETECTOR,
        host,
        peers,
        _traffic(rows),
        severity=severity,
        score=_SCORES[severity] if severe else 0.2,
        scores={ground.name: _SCORES[ground.severity] for ground in severe},
        summary=" ".join(
            [
                f"{addresses} ({list_some(peers)}) held {_describe(rows)} with {host} from"
                f" {_period_and_volume(rows)}.",
                *(ground.sentence for ground in severe),
            ]
        ),
        caveats="Sessions from many networks may be intended, as at an SFTP server.",
        about="public",
    )


def _traffic(rows: pd.DataFrame) -> Traffic:
    return sum_traffic(
        rows, connections="sessions", bytes_out="bytes_to_peer", bytes_in="bytes_from_peer"
    )


def _describe(rows: pd.DataFrame) -> str:
    """'3 administrative sessions on 22/tcp (ssh)'."""
    ports = list_some(label(port, 6) for port in sorted(set(rows["service_port"])))
    return f"{format_count(int(rows['sessions'].sum()), 'administrative session')} on {ports}"


def _period_and_volume(rows: pd.DataFrame) -> str:
    sent, received = int(rows["bytes_from_peer"].sum()), int(rows["bytes_to_peer"].sum())
    return (
        f"{format_period(rows['first_seen'].min(), rows['last_seen'].max())}"
        f" ({format_bytes(sent)} to the host, {format_bytes(received)} from it)"
    )
