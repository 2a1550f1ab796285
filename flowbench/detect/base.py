"""What a detector is, and what it concludes: the finding."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.engine import seconds
from flowbench.enrich.indicators import answer_held, in_period
from flowbench.schema import Table, to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

# Ports of logins, and the bytes of answer that only an attempt gets: less is a look at the banner.
LOGINS = {21: 250, 22: 1_000, 23: 250, 445: 500, 3389: 500, 5900: 250, 5985: 500, 5986: 800}
# Databases inside are called by programs that log in all day: judged from outside only.
DATABASES = {1433: 250, 3306: 250, 5432: 250}
WEB = (80, 443)
PAGE = 10_000  # bytes: what a page, a picture or a script has, and an answer to a check-in has not
SEVERITIES = ("low", "medium", "high", "critical")

FINDINGS = Table.of(
    "findings",
    ("finding_id", "string", "stable: the same for the same subject, peer and port in every run"),
    ("detector", "string", "which detector"),
    ("title", "string", "what it is, in a few words"),
    ("severity", "string", "low, medium, high or critical: what it would mean if true"),
    ("score", "float64", "0 to 1: how well the records fit"),
    ("technique", "string", "ATT&CK technique id (v18)"),
    ("subject", "string", "the address it is about; or a name: a principal, flow logs, internet"),
    ("peer", "string", "the other address; null when they are many"),
    ("peers", "strings", "every other address"),
    ("service_port", "int32", "the port; null when they are many"),
    ("protocol", "int32", "IANA protocol number; null when they are many"),
    ("first_seen", "time", "start of the first connection"),
    ("last_seen", "time", "end of the last"),
    ("connections", "int64", "how many connections it rests on"),
    ("bytes_out", "int64", "bytes from the subject"),
    ("bytes_in", "int64", "bytes to the subject"),
    ("why", "string", "the reason in one sentence with its numbers"),
    ("caveats", "string", "what else could explain it, and what cannot be known"),
    ("evidence", "string", "what selects the records, as JSON; see Case.evidence_for"),
)


@dataclass(frozen=True)
class Detector:
    """A detector as the registry knows it."""

    id: str
    title: str
    question: str
    technique: str
    needs: frozenset[str]  # flow log fields without which it cannot answer
    tables: frozenset[str]  # tables of the case that must not be empty
    function: Callable[[Case], list[dict[str, Any]]]


REGISTRY: dict[str, Detector] = {}


def detector(
    *,
    id: str,  # noqa: A002  # what users call it
    title: str,
    question: str,
    technique: str,
    needs: Iterable[str] = ("srcaddr", "dstaddr", "start", "end"),
    tables: Iterable[str] = (),
) -> Callable[[Callable[..., list[dict[str, Any]]]], Callable[..., list[dict[str, Any]]]]:
    """Register a function from a case to findings (dicts of FINDINGS, see ``finding``)."""

    def register(function: Callable[..., list[dict[str, Any]]]) -> Callable[..., Any]:
        REGISTRY[id] = Detector(
            id, title, question, technique, frozenset(needs), frozenset(tables), function
        )
        return function

    return register


def finding(  # noqa: PLR0913  # the columns of a finding
    name: str,
    *,
    severity: str,
    score: float,
    subject: str,
    peers: Iterable[str],
    ports: Iterable[int],
    protocol: int | None,
    first_seen: pd.Timestamp,
    last_seen: pd.Timestamp,
    why: str,
    caveats: str,
    connections: int,
    bytes_out: int,
    bytes_in: int,
    title: str | None = None,
    technique: str | None = None,
    about: str = "",
    targets: Iterable[str] = (),
) -> dict[str, Any]:
    """One finding of detector ``name``, with its id and the selector of its records.

    ``about`` tells findings apart that have the same ends, port and protocol. ``targets`` are the
    addresses that the peers dealt with where the subject is no address but a name for many: its id
    names neither peers nor ports, which come and go.
    """
    known = REGISTRY[name]
    peers, ports = sorted(set(peers)), sorted({int(port) for port in ports})
    protocol = None if protocol is None else int(protocol)
    peer = peers[0] if len(peers) == 1 else None
    port = ports[0] if len(ports) == 1 else None
    selector = {
        "subject": subject,
        "peers": peers,
        "ports": [one for one in ports if one],  # 0 is no port: it selects nothing
        "protocol": protocol,
        "from": first_seen.isoformat(),
        "until": last_seen.isoformat(),
    }
    if targets := sorted(set(targets)):
        selector["targets"] = targets
    # With many peers the list would change as evidence is added: the subject names it then.
    ends = [] if targets else [peer or "", str(port), str(protocol)]
    key = "|".join([name, subject, *ends, *([about] if about else [])])
    return {
        "finding_id": f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:10]}",
        "detector": name,
        "title": title or known.title,
        "severity": severity,
        "score": round(float(score), 3),
        "technique": technique or known.technique,
        "subject": subject,
        "peer": peer,
        "peers": peers,
        "service_port": port,
        "protocol": protocol,
        "first_seen": first_seen,
        "last_seen": last_seen,
        "connections": int(connections),
        "bytes_out": int(bytes_out),
        "bytes_in": int(bytes_in),
        "why": why,
        "caveats": caveats,
        "evidence": json.dumps(selector),
    }


def pairs(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The two ends of all that a finding is about: its subject, or its targets, and each peer."""
    return product(json.loads(row["evidence"]).get("targets") or [row["subject"]], row["peers"])


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Findings, the gravest first."""
    rank = {severity: place for place, severity in enumerate(reversed(SEVERITIES))}
    return sorted(
        rows,
        key=lambda row: (
            rank[row["severity"]],
            -row["score"],
            row["detector"],
            row["subject"],
            row["finding_id"],
        ),
    )


def capture_window(case: Case) -> float:
    """The case's capture window in seconds: 60 unless its records are longer (600 at most).

    Known limit: one window for the whole case, though interfaces may differ.
    """
    flows = case.flows
    length = seconds(flows["end"]) - seconds(flows.start)
    longer = flows.aggregate(share=(length > 130).mean()).to_pandas()["share"].iloc[0]
    return 600.0 if pd.notna(longer) and longer > 0.05 else 60.0


def listed(case: Case, peers: Iterable[str]) -> pd.DataFrame:
    """What indicator lists say of these outside addresses, at the time they were spoken with.

    Columns: subject, peer, service_port, kind, indicator; each combination once, in that order. A
    connection outside an indicator's period, or after the answer that led from a domain to the
    address, does not count.
    """
    columns = ["subject", "peer", "service_port", "kind", "indicator"]
    periods = ["valid_from", "valid_until", "resolved_from", "resolved_until"]
    wanted = ibis.memtable({"peer": pa.array(sorted(set(peers)), pa.string())})
    matches = case.indicator_matches.rename(peer="address").semi_join(wanted, "peer")
    told = matches.select("peer", "kind", "indicator", *periods).to_pyarrow()
    if not told.num_rows:
        return pd.DataFrame(columns=columns)
    # Where no list names a time every contact counts, and pairs, which are fewer, tell of all.
    timeless = all(told[name].null_count == told.num_rows for name in periods)
    c = case.connection_summaries if timeless else case.connections
    ends = [
        c.filter(c.direction == direction).select(
            "service_port", "first_seen", "last_seen", subject=c[subject], peer=c[peer]
        )
        for direction, subject, peer in (
            ("outbound", "initiator", "responder"),
            ("inbound", "responder", "initiator"),
        )
    ]
    j = ends[0].union(ends[1]).join(ibis.memtable(told), "peer")
    j = j.filter(in_period(j), answer_held(j)).select(columns).distinct()
    return to_frame(j.order_by(columns).to_pyarrow())


def network(address: ibis.Value) -> ibis.Value:
    """The /24 of an IPv4 address or the /48 of an IPv6 one, as text: the same for all in it."""
    four = address.re_extract(r"^(\d+\.\d+\.\d+)\.\d+$", 1)
    six = address.re_extract(r"^((?:[0-9a-f]+:){1,3})", 1)
    return address.contains(":").ifelse(six, four)


def takes(sent: Any, got: Any) -> Any:
    """Whether who sent and got these bytes is the one that takes: it gets three times as much.

    That is the producer-consumer ratio, (out - in) / (out + in), of -0.5 or less (Bullard and
    Gerth, PCR: a new flow metric, FloCon 2014): who browses, chats, watches or is fed. Who answers
    to somebody's commands, or lets somebody through, sends about as much as it gets, or more.
    """
    return got >= 3 * sent


def visits(sent: Any, got: Any, calls: Any) -> Any:
    """Whether calls to web ports look like a person's visit to a site: they take, and get pages."""
    return takes(sent, got) & (got >= PAGE * calls)


def browsing(case: Case, until: pd.Timestamp, *, few: int = 2, sites: int = 5) -> ibis.Table:
    """The inside hosts from which people browse (column ``host``).

    Those which before ``until`` visited ``sites`` outside networks, or more, that no more than
    ``few`` hosts visit: people go where nobody else goes, servers share what they call. Each new
    one says little, then.
    """
    p = case.connection_summaries
    p = p.filter(p.direction == "outbound", ~p.intermediate, p.answered > 0, p.first_seen < until)
    p = p.filter(p.service_port.isin(WEB), visits(p.bytes_out, p.bytes_in, p.connections))
    own = p.select(host=p.initiator, network=network(p.responder)).distinct()
    lone = own.group_by("network").aggregate(hosts=_.count()).filter(_.hosts <= few)
    count = own.semi_join(lone, "network").group_by("host").aggregate(sites=_.count())
    return count.filter(count.sites >= sites).select("host")
