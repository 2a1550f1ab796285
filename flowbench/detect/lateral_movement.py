"""Lateral movement: who tried inside doors that were kept shut?

Question: which inside host was refused at the admin and data ports of its neighbours?

Method: count what was refused and never once answered, per inside host: a refusal between two hosts
that otherwise talk is a straggler or a lapse, one between hosts that never talked is a try. Two
services or three targets make a pattern. The ports are those of remote administration and of the
data services (RDS, EFS, ElastiCache, OpenSearch, …).

Fires falsely: an application deployed before its security group was opened, a vulnerability scanner
of one's own. Cannot see: tries that security groups let pass (accepted new paths are not judged
yet), tries at an interface without flow logs if the refusal is logged nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from flowbench.detect.base import detector, finding, many, spell
from flowbench.enrich.addresses import Lookup
from flowbench.schema import to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

DOORS = {
    22: "SSH", 135: "RPC", 139: "NetBIOS", 445: "SMB", 1433: "SQL Server", 1521: "Oracle",
    2049: "NFS", 3306: "MySQL", 3389: "RDP", 5432: "PostgreSQL", 5439: "Redshift", 5985: "WinRM",
    5986: "WinRM", 6379: "Redis", 9200: "OpenSearch", 11211: "Memcached", 27017: "MongoDB",
}  # fmt: skip


@detector(
    id="lateral-movement",
    title="Refused at inside doors",
    question="Which inside host was refused at admin and data ports of its neighbours?",
    technique="T1021",
    needs=("srcaddr", "dstaddr", "dstport", "start", "end", "action"),
)
def lateral_movement(
    case: Case, *, many_targets: int = 3, many_services: int = 2
) -> list[dict[str, Any]]:
    """One finding per inside host that was refused and never answered at some door (DOORS).

    ``many_targets`` refused hosts, or ``many_services`` refused ports, make it high; less, medium.
    """
    p = case.pairs
    tried = p.filter(
        p.direction == "internal",
        p.refused > 0,
        p.answered == 0,
        p.service_port.isin(list(DOORS)),
        ~p.relay,
    )
    rows = to_frame(tried.order_by("initiator", "responder", "service_port").to_pyarrow())
    if rows.empty:
        return []
    book = Lookup(case.addresses, rows["responder"])
    return [
        _finding(subject, group, book, many_targets, many_services)
        for subject, group in rows.groupby("initiator", sort=True)
    ]


def _finding(
    subject: str, rows: pd.DataFrame, book: Lookup, many_targets: int, many_services: int
) -> dict[str, Any]:
    targets, services = rows["responder"].nunique(), rows["service_port"].nunique()
    tries = int(rows["refused"].sum())
    first, last = rows["first_seen"].min(), rows["last_seen"].max()
    pattern = targets >= many_targets or services >= many_services
    doors = [
        f"{_owner(book.at(row.responder, row.first_seen))}{row.responder} on {row.service_port}"
        f" ({DOORS[row.service_port]}) {row.refused}x"
        for row in rows.itertuples()
    ]
    shown = "; ".join(doors[:8]) + (f"; and {len(doors) - 8} more" if len(doors) > 8 else "")
    why = (
        f"{subject} was refused {many(tries, 'time')} at {many(len(doors), 'inside door')} within"
        f" {spell((last - first).total_seconds())} and never once answered there: {shown}."
    )
    caveats = (
        "A refusal shows the try, not the intent: a new service whose security group is not open"
        " yet looks the same. The subject's own records of these packets say ACCEPT: its side let"
        " them out, the other refused them."
    )
    return finding(
        "lateral-movement",
        severity="high" if pattern else "medium",
        score=min(1.0, 0.4 + 0.1 * targets + 0.15 * services),
        subject=subject,
        peers=rows["responder"],
        ports=rows["service_port"],
        protocol=int(rows["protocol"].iloc[0]) if rows["protocol"].nunique() == 1 else None,
        first_seen=first,
        last_seen=last,
        connections=int(rows["connections"].sum()),
        bytes_out=rows["bytes_out"].sum(),
        bytes_in=rows["bytes_in"].sum(),
        why=why,
        caveats=caveats,
    )


def _owner(known: dict[str, Any] | None) -> str:
    words = [known[name] for name in ("service", "name") if known[name]] if known else []
    return f"{words[0].upper()} {' '.join(words[1:])} ".replace("  ", " ") if words else ""
