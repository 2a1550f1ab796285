"""What flow logs cannot tell about why X cannot reach Y, in general and in this case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbench.investigate.path_facts import Path
from flowbench.text import format_count

if TYPE_CHECKING:
    from flowbench.case import Case

_RULES = {
    "security_groups": "security groups (describe-security-groups)",
    "network_acls": "network ACLs (describe-network-acls)",
    "route_tables": "route tables (describe-route-tables)",
}


def describe_limits(case: Case, path: Path) -> list[str]:
    """Return a sentence for each thing that the records or the inventory leave unknown."""
    limits = []
    if path.protocol == "tcp" and "tcp_flags" not in case.fields:
        limits.append(
            "The records have no tcp-flags: a reply may be a RST (nothing listens) as well as a"
            " SYN-ACK, and who opened the connection is inferred from the port."
        )
    if any(counts["long"] for counts in path.logged.values()):
        limits.append(
            "Some capture windows are up to 600 s long: a record may hold packets from before and"
            " after a change of rules, and the order of packets within it is unknown."
        )
    if not {"pkt_srcaddr", "pkt_dstaddr"} & case.fields:
        limits.append(
            "The records have no pkt-srcaddr and pkt-dstaddr: traffic through a NAT gateway, a"
            " load balancer or a transit gateway has other addresses and is not counted here."
        )
    for place, counts in path.logged.items():
        if counts["skipdata"]:
            records = format_count(counts["skipdata"], "record")
            limits.append(f"AWS left out records at the {place} ({records} with SKIPDATA).")
        if counts["accepted"] and not counts["rejected"]:
            limits.append(
                f"The interfaces of the {place} have no REJECT record: perhaps only ACCEPT is"
                " recorded."
            )
    if missing := [text for name, text in _RULES.items() if not case.has(name)]:
        limits.append(f"The case has no {', '.join(missing)}: `flowbench fetch` records them.")
    if len(missing) < len(_RULES):
        limits.append("Recorded rules are those at the time of the call, not of the records.")
    limits.append(
        "REJECT does not name the control that denied a packet; ACCEPT does not mean that anything"
        " listens. Host firewalls, TLS and the application leave no trace in flow logs."
    )
    return limits
