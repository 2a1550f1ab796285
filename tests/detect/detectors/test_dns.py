"""DNS: tunnels, generated and listed domains, external servers; and what looks like them."""

from __future__ import annotations

from typing import Any

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect.findings import Findings
from tests.detect.detectors.common import dns_case
from tests.dns_queries import CLIENT, HEX, OTHER, data_labels, dns_query
from tests.traffic import T0, connect, make_case

DAY = 86_400
LIST = (
    "indicator,kind,feed,confidence,valid_from,valid_until\n"
    "bad.example,c2,domains,90,2026-01-01T00:00:00Z,\n"
    "ads.example,tracking,domains,,,\n"
    "old.example,c2,domains,90,2025-01-01T00:00:00Z,2025-06-01T00:00:00Z\n"
    "fine.example,allow,own,,,\n"
)


def run(case: Case) -> Findings:
    return detect.run(case, only=["dns"], keep=False)


def tunnel(
    domain: str, count: int, length: int, *, every: float = 30, seed: int = 1, **more: Any
) -> list[dict[str, Any]]:
    alphabet = more.pop("alphabet", "abcdefghijklmnopqrstuvwxyz234567")
    labels = data_labels(count, length, alphabet, seed=seed)
    return [
        dns_query(T0 + i * every, f"{label}.{domain}", **more) for i, label in enumerate(labels)
    ]


TXT = {"kind": "TXT", "answers": [("TXT", "ok")]}


@pytest.mark.parametrize(
    ("queries", "severity", "names"),
    [
        (lambda: tunnel("t.evil.example", 60, 180, kind="NULL"), "high", 60),
        (lambda: tunnel("evil.co.uk", 700, 18, alphabet=HEX, every=60, **TXT), "high", 700),
        (lambda: tunnel("evil.example", 60, 180, answers=[("A", "127.0.0.1")]), "medium", 60),
        (lambda: tunnel("evil.example", 60, 180, kind="AAAA", rcode="NXDOMAIN"), "medium", 60),
        (lambda: tunnel("x.evil.example", 800, 200, every=1), "high", 800),
        (lambda: tunnel("evil.example", 60, 180, kind="CNAME", host="fd00::5"), "high", 60),
    ],
)
def test_data_in_names_is_a_tunnel(tmp_path, queries, severity: str, names: int) -> None:
    records = queries()
    ordinary = [dns_query(T0 + i, f"www{i % 7}.site.example") for i in range(500)]
    case = dns_case(tmp_path, [*records, *ordinary])
    (finding,) = run(case)
    assert (finding.title, finding.severity) == ("DNS tunnelling", severity)
    assert (finding.subject, finding.peers) == (records[0]["srcaddr"], ())
    assert f"queried {names} names below" in finding.summary
    assert finding.scores["uniqueness"] == 1
    evidence = case.evidence_for(finding)
    assert len(evidence) == names
    assert set(evidence["kind"]) == {"dns"}
    assert evidence["line"].tolist() == list(range(1, names + 1))


def test_data_in_answers_is_a_tunnel(tmp_path) -> None:
    stage = [
        dns_query(T0 + i, f"{i:x}.stage.evil.example", kind="TXT", answers=[("TXT", "A" * 250)])
        for i in range(200)
    ]
    (finding,) = run(dns_case(tmp_path, stage))
    assert finding.severity == "high"
    assert "the answers 50,000 characters of text in total" in finding.summary


HASHES = data_labels(400, 32, HEX)
REVERSED = [f"{i % 250}.{i % 7}.51.198" for i in range(1_500)]


@pytest.mark.parametrize(
    "names",
    [
        [f"d{label[:13]}.cloudfront.net" for label in HASHES],
        [f"{label}.gr7.us-east-1.eks.amazonaws.com" for label in HASHES],
        [f"0.0.0.0.1.0.0.4e.{label}.avqs.mcafee.com" for label in HASHES],
        [f"{label}.a.j.00.s.sophosxl.net" for label in HASHES],
        [f"{address}.zen.spamhaus.org" for address in REVERSED],
        [f"{address}.dnsbl.private.example" for address in REVERSED],
        [f"{address}.in-addr.arpa" for address in REVERSED],
        [f"ip-10-0-{i % 9}-{i % 250}.ec2.internal" for i in range(3_000)],
        [f"{label}.svc.cluster.local" for label in HASHES],
        ["_ldap._tcp.dc._msdcs.corp.example", *(f"pc{i:03d}.corp.example" for i in range(900))],
        [n for i in range(900) for n in (f"www.s{i}.net.corp.example.com", f"www.s{i}.net")],
        [f"{label}.images.example" for label in HASHES for _time in range(3)][:300],
    ],
    ids=[
        "cdn", "cloud", "mcafee", "sophos", "dnsbl", "own-dnsbl", "reverse", "aws-internal",
        "kubernetes", "active-directory", "search-suffix", "few-hashes",
    ],
)  # fmt: skip
def test_names_that_only_look_like_data_are_no_tunnel(tmp_path, names: list[str]) -> None:
    queries = [dns_query(T0 + i * 20, name) for i, name in enumerate(names)]
    assert not run(dns_case(tmp_path, queries))


def test_names_that_other_clients_ask_too_are_no_tunnel(tmp_path) -> None:
    shared = [
        query for host in (CLIENT, OTHER) for query in tunnel("assets.example", 60, 180, host=host)
    ]
    assert not run(dns_case(tmp_path, shared))


def test_names_whose_answers_are_used_are_no_tunnel(tmp_path) -> None:
    site, queries = "203.0.113.80", tunnel("assets.example", 60, 180)
    for query in queries:
        query["answers"] = [{"Rdata": site, "Type": "A", "Class": "IN"}]
    used = make_case(tmp_path / "used", connect(CLIENT, site, 443, T0), json_lines=queries)
    assert not run(used)
    other = make_case(tmp_path / "other", connect(OTHER, site, 443, T0), json_lines=queries)
    (finding,) = run(other)
    assert finding.title == "DNS tunnelling"


def test_block_lists_and_shared_domains_are_low(tmp_path) -> None:
    codes = tunnel("list.example", 60, 180, answers=[("A", "127.0.0.4")])
    (finding,) = run(dns_case(tmp_path / "codes", codes))
    assert finding.severity == "low"
    assert "as those of a DNS block list" in finding.caveats
    agents = [
        query
        for n in range(4)
        for query in tunnel("agent.example", 100, 180, host=f"10.0.0.{n}", seed=n, every=1_000)
    ]
    findings = run(dns_case(tmp_path / "agents", agents))
    assert [finding.severity for finding in findings] == ["low"] * 4
    three = [query for query in agents if query["srcaddr"] != "10.0.0.0"]
    findings = run(dns_case(tmp_path / "three", three))
    assert [finding.severity for finding in findings] == ["medium"] * 3


def test_hostile_names_do_no_harm(tmp_path) -> None:
    hostile = "'); DROP TABLE dns; --\n<script>\u202e=1+1"
    queries = [
        *tunnel(f"{hostile}.example", 60, 180),
        dns_query(T0, ""), dns_query(T0, "..."), dns_query(T0, "a" * 100_000 + ".example"),
        dns_query(T0, "\\000\\377.example"), dns_query(T0, "%s.example", srcaddr="not-an-address"),
    ]  # fmt: skip
    for query in queries:
        query["query_name"] = query["query_name"] or "."
    (finding,) = run(dns_case(tmp_path, queries))
    assert "\n" not in finding.summary
    assert "\u202e" not in finding.summary


def generated(count: int, *, length: int = 12, seed: int = 1, every: float = 2, **more: Any):
    labels = data_labels(count, length, "abcdefghijklmnopqrstuvwxyz", seed=seed)
    given = {"rcode": "NXDOMAIN"} | more
    return [dns_query(T0 + i * every, f"{label}.com", **given) for i, label in enumerate(labels)]


WORDS = "river table candle garden market window mountain paper silver winter bridge castle".split()
PHRASES = [f"{first}{second}.net" for first in WORDS for second in WORDS if first != second]


@pytest.mark.parametrize("count", [12, 40, 300])
def test_random_domains_that_do_not_exist_are_generated(tmp_path, count: int) -> None:
    browsing = [dns_query(T0 + i, f"www.{name}") for i, name in enumerate(PHRASES[:80])]
    found = dns_query(T0 + 90, "qxzvkwpjfh.com", answers=[("A", "203.0.113.9")])
    case = dns_case(tmp_path, [*generated(count), *browsing, found])
    (finding,) = run(case)
    assert finding.title == "Algorithmically generated domains"
    assert (finding.severity, finding.technique) == ("high", "T1568.002")
    assert f"queried {count} registered domains that do not exist" in finding.summary
    assert "of the same hours with other answers: qxzvkwpjfh.com." in finding.summary
    assert len(case.evidence_for(finding)) == count


def test_generated_words_are_found_by_their_share(tmp_path) -> None:
    queries = [dns_query(T0 + i, name, rcode="NXDOMAIN") for i, name in enumerate(PHRASES[:60])]
    (finding,) = run(dns_case(tmp_path, queries))
    assert finding.severity == "medium"
    assert finding.scores["missing_share"] == 1
    assert finding.scores["random_share"] < 0.3


@pytest.mark.parametrize(
    "queries",
    [
        [dns_query(T0 + i, name, rcode="NXDOMAIN") for i, name in enumerate(PHRASES[:8])],
        [
            dns_query(T0 + i, name, rcode="NXDOMAIN" if i % 6 == 0 else "NOERROR")
            for i, name in enumerate(PHRASES)
        ],
        [dns_query(T0 + i, name, rcode="NXDOMAIN") for i, name in enumerate(data_labels(90, 10))],
        [
            dns_query(T0 + i, f"{name}.corp.example", rcode="NXDOMAIN")
            for i, name in enumerate(PHRASES)
        ],
        [dns_query(T0 + i, f"{n}.lan", rcode="NXDOMAIN") for i, n in enumerate(data_labels(90, 9))],
        generated(60, every=600),
        generated(60, firewall_rule_action="BLOCK"),
        generated(60, kind="MX"),
        [*generated(60), *generated(60, rcode="NOERROR", host=OTHER)],
    ],
    ids=[
        "typing-errors", "crawler", "single-labels", "search-suffix", "private-tld", "slow",
        "dns-firewall", "mail", "exist",
    ],
)  # fmt: skip
def test_other_missing_domains_are_not_generated(tmp_path, queries: list[dict[str, Any]]) -> None:
    assert not run(dns_case(tmp_path, queries))


ANSWER = [("A", "203.0.113.9")]


@pytest.mark.parametrize(
    ("query", "severity"),
    [
        (dns_query(T0, "x.bad.example", answers=ANSWER), "high"),
        (dns_query(T0, "bad.example", rcode="NXDOMAIN"), "low"),
        (dns_query(T0, "bad.example", answers=ANSWER, firewall_rule_action="BLOCK"), "low"),
        (dns_query(T0, "site.example", answers=[("CNAME", "bad.example."), *ANSWER]), "high"),
        (dns_query(T0, "ads.example", answers=ANSWER), "medium"),
    ],
    ids=["answered", "no-domain", "blocked", "cname", "other-kind"],
)
def test_a_listed_domain_is_reported(tmp_path, query: dict[str, Any], severity: str) -> None:
    case = dns_case(tmp_path, [query, dns_query(T0, "site2.example", answers=ANSWER)], LIST)
    (finding,) = run(case)
    outcome = "queried" if severity == "low" else "resolved"
    assert (finding.title, finding.severity) == (f"Indicator domain {outcome}", severity)
    assert "list domains" in finding.summary
    assert case.evidence_for(finding)["name"].tolist() == [query["query_name"].rstrip(".")]


@pytest.mark.parametrize("name", ["old.example", "fine.example", "notbad.example", "example"])
def test_expired_allowed_and_other_domains_are_not(tmp_path, name: str) -> None:
    assert not run(dns_case(tmp_path, [dns_query(T0, name, answers=ANSWER)], LIST))


def test_contact_reports_what_a_connection_followed(tmp_path) -> None:
    queries = [dns_query(T0, "bad.example", answers=ANSWER, host=host) for host in (CLIENT, OTHER)]
    records = [
        *connect(CLIENT, "203.0.113.9", 443, T0 + 60, interface_id="eni-c"),
        *connect(OTHER, "203.0.113.200", 443, T0 + 60, interface_id="eni-o"),
    ]
    case = make_case(tmp_path, records, indicators=LIST, json_lines=queries)
    findings = detect.run(case, only=["contact", "dns"], keep=False)
    assert [(f.detector, f.subject, f.severity) for f in findings] == [
        ("contact", CLIENT, "high"),
        ("dns", OTHER, "medium"),
    ]


def test_nothing_without_dns_in_any_log(tmp_path) -> None:
    assert not run(make_case(tmp_path, connect(CLIENT, "203.0.113.9", 443, T0)))
    fields = ["srcaddr", "dstaddr", "start", "end"]
    assert not run(make_case(tmp_path / "f", connect(CLIENT, OTHER, 53, T0), fields=fields))
