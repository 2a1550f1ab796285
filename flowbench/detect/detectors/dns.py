"""DNS: which hosts tunnel, query generated or indicator domains, or use external DNS servers?

Question: does a host tunnel data over DNS, look for its command server by generated names, query a
domain of an indicator list, or bypass the resolver that is logged?

Method: six checks, each run where the case has its logs. From Resolver query logs alone:

* DNS tunnelling (detect.dns_tunnelling): a bound on the information that a client sends to a domain
  in names, or receives in answers, in a day (Paxson et al. 2013).
* Algorithmically generated domains (detect.generated_domains): many registered domains in an hour
  that do not exist (Antonakakis et al. 2012).
* Indicator domain resolved (detect.listed_domains): a domain on an indicator list was queried, and
  no connection with its address was logged. With a connection, the contact detector reports it.
  Where no query was answered, the title is Indicator domain queried.
* DNS rebinding to instance metadata (detect.dns_rebinding): a public name resolved to it.

From flow logs alone (detect.dns_servers):

* Unusual DNS traffic volume: a host exchanges more with an external address on port 53 than queries
  and answers have, by volume and mean message.
* External DNS resolver used: a host uses a resolver other than Amazon's on ports 53 and 853, or a
  known one over HTTPS, that is no shared service (detect.sharing). Internal DNS servers may.

They correspond to GuardDuty's Trojan:EC2/DNSDataExfiltration, Trojan:EC2/DGADomainRequest,
Impact:EC2/MaliciousDomainRequest and C&CActivity.B!DNS, UnauthorizedAccess:EC2/MetadataDNSRebind,
and DefenseEvasion:EC2/UnusualDNSResolver, UnusualDoTActivity and UnusualDoHActivity. The thresholds
are this project's where no source is named.

Severity: tunnelling high where half of the queries are of types that carry data or from ten times
the bound on, else medium; low for domains that several hosts queried so in the baseline too
(detect.sharing), or whose answers are all codes of a block list or all private addresses. Generated
domains high where most look random, else medium. Indicator domains high for high-risk kinds that
were answered while no flow record shows the host, medium where its flow records show no connection,
low if nothing was answered. Volume high from ten times the least volume on, else medium. Rebinding
high. External resolvers low.

False positives: reputation services and telemetry that are not known (enrich.domain_names), link
checkers and crawlers of expired domains, a network's own top-level domain, DNSSEC validation by
each host, software that comes with a resolver of its own.

Limitations: a client behind an internal DNS server is not seen, its server is. Not detected are
less than the bound a day (a check-in every ten minutes with names of a few characters), a few
generated domains an hour, DNS over HTTPS to an address that is not known as a resolver, and with
DNS Firewall the generated domains that it blocked.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from flowbench.detect.detector import Detector
from flowbench.detect.dns_rebinding import find_rebinding
from flowbench.detect.dns_servers import (
    is_unusual_volume,
    read_dns_traffic,
    report_resolvers,
    report_volume,
)
from flowbench.detect.dns_tunnelling import TEXT_FACTOR, find_tunnels
from flowbench.detect.finding import Finding, Traffic, limit_low, make_finding
from flowbench.detect.generated_domains import find_generated
from flowbench.detect.indicators import HIGH_RISK_KINDS
from flowbench.detect.listed_domains import find_listed
from flowbench.enrich.domain_names import shorten_name
from flowbench.selector import DnsSelector
from flowbench.text import format_bytes, format_count, format_period, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

DETECTOR = Detector(
    id="dns",
    title="DNS tunnelling",
    question="Which hosts tunnel over DNS, or look up generated or listed domains?",
    technique="T1071.004",
    needs=frozenset(),
    any_tables=frozenset({"dns", "flows"}),
)
FLOW_FIELDS = frozenset({"srcaddr", "dstaddr", "dstport", "protocol", "bytes", "packets"})

_FACTOR = 10  # times the bound from which severity is high
_MOST_LOW = 10  # findings of tunnels of severity low
_ANSWERS = {
    "codes": " All answers are in 127.0.0.0/8, as those of a DNS block list are.",
    "private": " All answers are private addresses, as those of an internal zone are.",
}
_UNKNOWN_CONFIDENCE = 70  # of a list that gives none, as in the contact detector


def find(
    case: Case,
    *,
    daily_bytes: int = 4_000,
    hourly_domains: int = 10,
    share: float = 0.5,
    servers: int = 20,
    sent: float = 1e6,
    query: float = 90,
    received: float = 5e6,
    answer: float = 400,
) -> list[Finding]:
    """Detect tunnels, generated and listed domains, and external DNS servers.

    Args:
        case: The case.
        daily_bytes: Least bytes of information in the names of a client, domain and day; or a tenth
            of the characters in its answers, addresses excepted.
        hourly_domains: Least registered domains of a client and hour that do not exist.
        share: Least share of them among its domains of the hour, or of them that look random.
        servers: Number of external DNS servers from which a host is a recursive resolver.
        sent: Least bytes from a host to an address on port 53, with
        query: Least mean of a message sent, in bytes without headers; or
        received: Least bytes from that address to the host over UDP, with
        answer: Least mean of a message received, in bytes without headers.

    Returns:
        One finding per client and domain that is a tunnel, per client and kind of listed domains,
        per client of generated domains, per host and address with unusual volume, and per host of
        external resolvers.
    """
    findings: list[Finding] = []
    if case.has("dns"):
        tunnels = find_tunnels(case, daily_bytes=daily_bytes)
        found = [_report_tunnel(row, daily_bytes) for row in tunnels.to_dict("records")]
        findings += limit_low(found, _MOST_LOW, lambda f: -f.score, "clients query such domains")
        generated = find_generated(case, hourly_domains=hourly_domains, share=share)
        findings += [_report_generated(row, share) for row in generated.to_dict("records")]
        findings += map(_report_rebinding, find_rebinding(case).to_dict("records"))
        if case.has("indicators"):
            findings += [
                _report_listed(str(host), str(kind), rows)
                for (host, kind), rows in find_listed(case).groupby(["host", "kind"], sort=True)
            ]
    if case.has("flows") and case.fields >= FLOW_FIELDS:
        traffic = read_dns_traffic(case, servers=servers)
        unusual = is_unusual_volume(
            traffic, sent=sent, query=query, received=received, answer=answer
        )
        findings += [
            report_volume(DETECTOR, rows, sent=sent, received=received)
            for _ends, rows in traffic[unusual].groupby(["host", "peer"], sort=True)
        ]
        findings += report_resolvers(DETECTOR, case, traffic[~unusual])
    return findings


def _report_tunnel(row: dict[str, Any], daily_bytes: int) -> Finding:
    host, domain = str(row["host"]), str(row["domain"])
    times = max(row["information"], row["daily_text"] / TEXT_FACTOR) / daily_bytes
    share = row["data_share"]
    data = f", {share:.0%} for TXT and other types that can carry data" if share else ""
    answers = f", the answers {row['text']:,} characters of text in total" if row["text"] else ""
    summary = (
        f"{host} queried {format_count(row['names'], 'name')} below {shorten_name(domain)} that no"
        f" other client queried ({format_count(row['queries'], 'query', 'queries')}{data};"
        f" {row['name_length']:.0f} characters on average) from"
        f" {format_period(row['first_seen'], row['last_seen'])}. The names of one day hold"
        f" at most {format_bytes(row['information'])} of information{answers}."
    )
    caveats = "Telemetry, licence checks and reputation services encode data in names too."
    if row["shared"]:
        caveats += " Several hosts each query names of their own below this domain."
    caveats += _ANSWERS.get(row["answers"], "")
    is_high = row["data_share"] >= 0.5 or times >= _FACTOR
    is_low = row["shared"] or row["answers"] in _ANSWERS
    scores = {
        "volume": min(1.0, 0.5 + 0.25 * math.log10(max(times, 1.0))),
        "uniqueness": row["names"] / row["queries"],
        "record_types": row["data_share"],
    }
    return _make_finding(
        row,
        severity="low" if is_low else "high" if is_high else "medium",
        score=0.6 * scores["volume"] + 0.2 * scores["uniqueness"] + 0.2 * scores["record_types"],
        scores=scores,
        summary=summary,
        caveats=caveats,
        about=f"tunnel|{domain}",
        dns={"domains": (domain,)},
    )


def _report_generated(row: dict[str, Any], share: float) -> Finding:
    hours = format_count(row["hours"], "hour")
    summary = (
        f"{row['host']} queried {format_count(row['domains'], 'registered domain')} that do not"
        f" exist (NXDOMAIN; {format_count(row['queries'], 'query', 'queries')} in {hours}) from"
        f" {format_period(row['first_seen'], row['last_seen'])}, up to {row['most']:,} in an hour:"
        f" {list_some(map(shorten_name, row['examples']), 3)}. In the hour with most,"
        f" {row['random_share']:.0%} of them look random."
    )
    if row["resolved"]:
        shown = list_some(map(shorten_name, row["resolved"]), 3)
        summary += f" Random-looking domains of the same hours with other answers: {shown}."
    scores = {name: row[name] for name in ("missing_share", "random_share")}
    return _make_finding(
        row,
        severity="high" if row["random_share"] >= share else "medium",
        score=0.4 + 0.3 * scores["missing_share"] + 0.3 * scores["random_share"],
        scores=scores,
        summary=summary,
        caveats="Link checkers, crawlers, mail servers and software with expired domains cause the"
        " same queries.",
        title="Algorithmically generated domains",
        technique="T1568.002",
        about="generated",
        dns={"rcodes": ("NXDOMAIN",)},
    )


def _report_rebinding(row: dict[str, Any]) -> Finding:
    name = str(row["name"])
    return _make_finding(
        row,
        severity="high",
        score=0.8,
        summary=f"{row['host']} queried {shorten_name(name)} {format_count(row['queries'], 'time')}"
        f" from {format_period(row['first_seen'], row['last_seen'])} and received an address of the"
        " instance metadata service.",
        caveats="Flow logs do not record connections to the metadata service. A domain of the"
        " organisation itself may point there on purpose.",
        title="DNS rebinding to instance metadata",
        technique="T1552.005",
        about=f"rebinding|{name}",
        dns={"domains": (name,)},
    )


def _report_listed(host: str, kind: str, rows: pd.DataFrame) -> Finding:
    domains, names = sorted(set(rows["domain"])), sorted(set(rows["name"]))
    queries = rows.drop_duplicates("name")
    answered, blocked = int(queries["answered"].sum()), int(queries["blocked"].sum())
    is_logged = bool(rows["is_logged"].any())
    if not answered:
        severity = "low"
    else:
        severity = "high" if kind in HIGH_RISK_KINDS and not is_logged else "medium"
    others = [name for name in names if name not in domains]
    looked_up = f" (as {list_some(map(shorten_name, others), 3)})" if others else ""
    is_blocked = f", {blocked:,} blocked by DNS Firewall" if blocked else ""
    feeds = list_some(map(shorten_name, sorted(set(rows["feed"].dropna()))), 3)
    summary = (
        f"{host} queried {list_some(map(shorten_name, domains), 3)}{looked_up}"
        f" {format_count(int(queries['queries'].sum()), 'time')} ({answered:,} answered with an"
        f" address{is_blocked}) from"
        f" {format_period(rows['first_seen'].min(), rows['last_seen'].max())}. Indicator match:"
        f" category {shorten_name(kind)}, list {feeds}."
    )
    if is_logged and answered:
        summary += " The flow logs show no connection of the host with an address of the answers."
    if is_logged:
        caveats = "The host may have used a proxy, or an address from another source."
    else:
        caveats = "No flow record shows the host, so whether it connected is not known."
    confidence = rows["confidence"].fillna(_UNKNOWN_CONFIDENCE).max() / 100
    period = {"host": host, "first_seen": rows["first_seen"].min()}
    return _make_finding(
        period | {"last_seen": rows["last_seen"].max()},
        severity=severity,
        score=confidence * (0.8 if answered else 0.5),
        scores={"confidence": confidence},
        summary=summary,
        caveats=caveats,
        title="Indicator domain resolved" if answered else "Indicator domain queried",
        about=f"listed|{kind}",
        dns={"domains": tuple(names)},
    )


def _make_finding(row: dict[str, Any], *, dns: dict[str, Any], **fields: Any) -> Finding:
    """Make a finding of DNS queries of a client: it has times, but no traffic of its own."""
    host, first, last = str(row["host"]), row["first_seen"], row["last_seen"]
    selector = DnsSelector(clients=(host,), first_seen=first, last_seen=last, **dns)
    return make_finding(DETECTOR, host, [], Traffic((), None, first, last), dns=selector, **fields)
