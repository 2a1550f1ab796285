"""External DNS servers in the flow logs: which hosts use them, and with unusual volume.

Flow logs do not record traffic to Amazon's resolver; DNS traffic in them goes to other servers.

A host is an internal DNS server where it answers internal clients on port 53, or asks ``servers``
external servers and more, as a recursive resolver does. It uses external servers by its nature.

Volume is judged by the mean DNS message. A query has a header (12 bytes), the name, type and class,
and options (RFC 6891, 7873): 40 to 65 bytes. A tunnel fills the name, up to 255 bytes, and a
service of another kind on the port fills whole packets. Over TCP the mean is lower, since it counts
segments without data. In the way back a large mean answer counts over UDP only: over TCP a zone
transfer (AXFR) is that.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, limit_low, make_finding, sum_traffic
from flowbench.detect.sharing import shared_services
from flowbench.enrich.ports import label
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_count, format_period, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

DNS, DNS_OVER_TLS, HTTPS = 53, 853, 443
_TCP, _UDP = 6, 17
_IP_HEADER = {4: 20, 6: 40}  # bytes
_TRANSPORT_HEADER = {_UDP: 8, _TCP: 32}  # bytes; TCP with the time stamp option

# Addresses of public resolvers that answer DNS over HTTPS and offer little else there, from their
# operators' documentation: Cloudflare, Google, Quad9, OpenDNS, AdGuard, CleanBrowsing.
DOH_RESOLVERS = frozenset(
    """
    1.1.1.1 1.0.0.1 1.1.1.2 1.0.0.2 1.1.1.3 1.0.0.3 8.8.8.8 8.8.4.4 9.9.9.9 9.9.9.10 9.9.9.11
    149.112.112.112 149.112.112.10 149.112.112.11 208.67.222.222 208.67.220.220 94.140.14.14
    94.140.15.15 185.228.168.9 185.228.169.9
    2606:4700:4700::1111 2606:4700:4700::1001 2606:4700:4700::1112 2606:4700:4700::1002
    2001:4860:4860::8888 2001:4860:4860::8844 2620:fe::fe 2620:fe::9 2620:119:35::35 2620:119:53::53
    2a10:50c0::ad1:ff 2a10:50c0::ad2:ff
    """.split()
)
_HIGH_FACTOR = 10  # times the least volume from which severity is high
_MOST_LOW = 10  # findings of external resolvers
_MIN_PACKETS = 10  # to an external resolver: fewer are a test

_KEYS = ["host", "peer", "service_port", "protocol"]


def read_dns_traffic(case: Case, *, servers: int) -> pd.DataFrame:
    """Read the traffic of internal hosts with external DNS servers.

    Args:
        case: The case.
        servers: From so many external servers on a host is a recursive resolver.

    Returns:
        A row for each host, peer, service_port and protocol, in this order, with first_seen,
        last_seen, connections, answered, bytes_out, bytes_in, packets_out, packets_in, query and
        answer (mean bytes of a message each way, without headers), and is_server (whether the host
        is a DNS server itself).
    """
    s = case.connection_summaries
    s = s.filter(~s.intermediate, s.service_port.isin([DNS, DNS_OVER_TLS, HTTPS]))
    outbound = s.filter(s.direction == "outbound")
    is_dns = outbound.service_port.isin([DNS, DNS_OVER_TLS]) & outbound.protocol.isin([_TCP, _UDP])
    is_doh = (outbound.service_port == HTTPS) & outbound.responder.isin(sorted(DOH_RESOLVERS))
    rows = outbound.filter(is_dns | is_doh).rename(host="initiator", peer="responder")
    amounts = ["bytes_out", "bytes_in", "packets_out", "packets_in"]
    columns = [*_KEYS, "first_seen", "last_seen", "connections", "answered", *amounts]
    frame = to_frame(rows.select(columns).order_by(_KEYS).to_pyarrow())
    version = frame["peer"].str.contains(":").map({True: 6, False: 4})
    headers = version.map(_IP_HEADER) + frame["protocol"].map(_TRANSPORT_HEADER)
    for message, way in (("query", "out"), ("answer", "in")):
        packets = frame[f"packets_{way}"].where(frame[f"packets_{way}"] > 0)
        frame[message] = (frame[f"bytes_{way}"] / packets - headers).astype("Float64").fillna(0)
    return frame.assign(is_server=frame["host"].isin(_internal_servers(s, frame, servers)))


def _internal_servers(summaries: ibis.Table, traffic: pd.DataFrame, servers: int) -> set[str]:
    """Return the hosts that answer internal clients on port 53, or that are recursive resolvers."""
    s = summaries
    serving = s.filter(s.direction == "internal", s.service_port == DNS, s.answered > 0)
    answering = serving.select("responder").distinct().to_pyarrow()["responder"].to_pylist()
    asked = traffic[(traffic["service_port"] == DNS) & (traffic["answered"] > 0)]
    count = asked.groupby("host")["peer"].nunique()
    return {*answering, *count.index[count >= servers]}


def is_unusual_volume(
    traffic: pd.DataFrame, *, sent: float, query: float, received: float, answer: float
) -> pd.Series:
    """Return which rows carry more over port 53 than queries and answers of DNS do.

    Args:
        traffic: Rows of ``read_dns_traffic``.
        sent: Least bytes that the host sent, in packets with a mean message of
        query: bytes at least.
        received: Least bytes that a host which is no DNS server received over UDP, in packets with
            a mean message of
        answer: bytes at least.
    """
    is_answered = (traffic["answered"] > 0) & (traffic["service_port"] == DNS)
    is_upload = (traffic["bytes_out"] >= sent) & (traffic["query"] >= query)
    is_download = (traffic["bytes_in"] >= received) & (traffic["answer"] >= answer)
    is_download &= (traffic["protocol"] == _UDP) & ~traffic["is_server"]
    return is_answered & (is_upload | is_download)


def report_volume(
    detector: Detector, rows: pd.DataFrame, *, sent: float, received: float
) -> Finding:
    """Report the traffic of a host with an external address (rows of ``is_unusual_volume``)."""
    host, peer = str(rows["host"].iloc[0]), str(rows["peer"].iloc[0])
    traffic = sum_traffic(rows)
    packets_out, packets_in = int(rows["packets_out"].sum()), int(rows["packets_in"].sum())
    services = " and ".join(label(DNS, int(protocol)) for protocol in rows["protocol"])
    summary = (
        f"{host} sent {format_bytes(traffic.bytes_out)} in {packets_out:,} packets to {peer} on"
        f" {services} and received {format_bytes(traffic.bytes_in)} in {packets_in:,} packets from"
        f" {format_period(traffic.first_seen, traffic.last_seen)}. Messages sent have"
        f" {rows['query'].max():.0f} bytes on average, messages received"
        f" {rows['answer'].max():.0f}."
    )
    times = max(traffic.bytes_out / sent, traffic.bytes_in / received)
    is_server = bool(rows["is_server"].any())
    caveats = (
        "Another service on port 53, such as a VPN, has the same traffic pattern. Flow logs do not"
        " record the names queried."
    )
    if is_server:
        caveats += " The host is a DNS server: one of its clients may have caused the traffic."
    return make_finding(
        detector,
        host,
        [peer],
        traffic,
        severity="high" if times >= _HIGH_FACTOR and not is_server else "medium",
        score=min(1.0, 0.5 + 0.25 * math.log10(max(times, 1.0))),
        scores={"query": min(1.0, rows["query"].max() / 255)},
        summary=summary,
        caveats=caveats,
        title="Unusual DNS traffic volume",
        technique="T1048.003" if traffic.bytes_out >= sent else "T1071.004",
        about="volume",
    )


def report_resolvers(detector: Detector, case: Case, traffic: pd.DataFrame) -> list[Finding]:
    """Report each host that uses external resolvers which are no shared services."""
    keys = ["peer", "service_port", "protocol"]
    is_used = (traffic["answered"] > 0) & (traffic["packets_out"] >= _MIN_PACKETS)
    used = traffic[is_used & ~traffic["is_server"]]
    if used.empty:
        return []
    shared = to_frame(shared_services(case).rename(peer="responder").select(keys).to_pyarrow())
    shared_keys = set(shared.itertuples(index=False, name=None))
    is_shared = [key in shared_keys for key in used[keys].itertuples(index=False, name=None)]
    used = used[[not value for value in is_shared]]
    findings = [
        _report_host(detector, str(host), rows) for host, rows in used.groupby("host", sort=True)
    ]
    return limit_low(
        findings, _MOST_LOW, lambda finding: finding.first_seen, "hosts use such resolvers"
    )


def _report_host(detector: Detector, host: str, rows: pd.DataFrame) -> Finding:
    traffic = sum_traffic(rows)
    peers = sorted(set(rows["peer"]))
    services = sorted({label(int(r.service_port), int(r.protocol)) for r in rows.itertuples()})
    summary = (
        f"{host} used {format_count(len(peers), 'external DNS resolver')} ({list_some(peers)}; on"
        f" {', '.join(services)}) in {format_count(traffic.connections, 'connection')} from"
        f" {format_period(traffic.first_seen, traffic.last_seen)}:"
        f" {format_bytes(traffic.bytes_out)} sent, {format_bytes(traffic.bytes_in)} received."
    )
    return make_finding(
        detector,
        host,
        peers,
        traffic,
        severity="low",
        score=0.3,
        summary=summary,
        caveats="Queries to other resolvers than Amazon's are not in the Resolver query logs. Some"
        " software uses a resolver of its own.",
        title="External DNS resolver used",
        about="resolver",
    )
