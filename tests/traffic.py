"""Flow log records of small invented traffic, and cases that have ingested them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flowbench.case import Case
from flowbench.schema import FLOWS

T0 = 1_788_220_800  # 2026-09-01 00:00:00 UTC
FIELDS = [name for name in FLOWS.columns if name not in ("source", "line")]


@dataclass(frozen=True)
class Record:
    """A flow log record; None is written as '-'."""

    srcaddr: str
    dstaddr: str
    srcport: int
    dstport: int
    start: int
    end: int
    protocol: int = 6
    packets: int = 5
    bytes: int = 500
    action: str = "ACCEPT"
    tcp_flags: int | None = None
    interface_id: str = "eni-a"
    flow_direction: str | None = None
    pkt_srcaddr: str | None = None
    pkt_dstaddr: str | None = None
    log_status: str = "OK"
    account_id: str = "111122223333"
    version: int = 5

    def back(self, **changes: Any) -> Record:
        """Return the record of the other direction."""
        turned = replace(
            self,
            srcaddr=self.dstaddr,
            dstaddr=self.srcaddr,
            srcport=self.dstport,
            dstport=self.srcport,
            pkt_srcaddr=self.pkt_dstaddr,
            pkt_dstaddr=self.pkt_srcaddr,
            flow_direction={"egress": "ingress", "ingress": "egress"}.get(
                self.flow_direction or ""
            ),
            tcp_flags=None if self.tcp_flags is None else {3: 19, 2: 18}.get(self.tcp_flags, 0),
        )
        return replace(turned, **changes)

    def text(self, fields: Iterable[str]) -> str:
        """Return the record as a line with the fields."""
        values = (getattr(self, name, None) for name in fields)
        return " ".join("-" if value is None else str(value) for value in values)


def connect(
    initiator: str,
    responder: str,
    port: int,
    at: int,
    *,
    source_port: int = 40_000,
    seconds: int = 2,
    out: int = 800,
    back: int = 3_000,
    window: int = 60,
    **fields: Any,
) -> Iterator[Record]:
    """Yield the records of a connection: one each way for every capture window.

    ``out`` and ``back`` are its total bytes. Records have the times of their window, as those of
    busy interfaces.
    """
    first, last = at // window, (at + seconds) // window
    count = last - first + 1
    for number, slot in enumerate(range(first, last + 1)):
        flags = 0
        if number == 0:
            flags |= 2
        if number == count - 1:
            flags |= 1
        record = Record(
            initiator,
            responder,
            source_port,
            port,
            slot * window,
            slot * window + window - 1,
            bytes=out // count,
            **({"tcp_flags": flags} | fields),
        )
        yield record
        yield record.back(
            bytes=back // count,
            tcp_flags=None if record.tcp_flags is None else (flags | (16 if flags & 2 else 0)),
        )


def move(address: str, number: int) -> str:
    """Return another address, so that many tests can share a case.

    10.0.0.n becomes 10.0.NUMBER.n; of other addresses the second part is raised by the number, and
    2001:db8:n becomes 2001:db8:NUMBER0n.
    """
    if address.startswith("10.0.0."):
        return f"10.0.{number}.{address.removeprefix('10.0.0.')}"
    if address.startswith("2001:db8:"):
        return f"2001:db8:{number}0{address.removeprefix('2001:db8:')}"
    first, second, rest = address.split(".", 2)
    return f"{first}.{int(second) + number}.{rest}"


def moved(records: Iterable[Record], number: int) -> list[Record]:
    """Return records with other addresses (``move``) and of another interface."""
    names = ("srcaddr", "dstaddr", "pkt_srcaddr", "pkt_dstaddr")
    return [
        replace(
            record,
            interface_id=f"{record.interface_id}{number}",
            **{name: move(at, number) for name in names if (at := getattr(record, name))},
        )
        for record in records
    ]


def reject(initiator: str, responder: str, port: int, at: int, **fields: Any) -> Record:
    """Return the record of a SYN that the responder's security group rejected."""
    start = at // 60 * 60
    given = {"source_port": 40_000, "tcp_flags": 2} | fields
    return Record(
        initiator,
        responder,
        given.pop("source_port"),
        port,
        start,
        start + 59,
        packets=1,
        bytes=60,
        action="REJECT",
        **given,
    )


def interface(address: str, name: str, *, kind: str = "interface", **more: Any) -> dict[str, Any]:
    """Return an interface as describe-network-interfaces prints it."""
    return {
        "NetworkInterfaceId": f"eni-{name}",
        "InterfaceType": kind,
        "Description": "",
        "PrivateIpAddress": address,
        "PrivateIpAddresses": [{"PrivateIpAddress": address, "Primary": True}],
        "TagSet": [{"Key": "Name", "Value": name}],
    } | more


def make_case(
    folder: Path,
    records: Iterable[Record],
    *,
    interfaces: list[dict[str, Any]] | None = None,
    indicators: str | None = None,
    json_lines: Iterable[dict[str, Any]] = (),
    fields: Iterable[str] = FIELDS,
) -> Case:
    """Return a case that has ingested the records and other evidence from files."""
    fields = list(fields)
    evidence = folder / "evidence"
    evidence.mkdir(parents=True)
    lines = [" ".join(name.replace("_", "-") for name in fields)]
    lines += [record.text(fields) for record in records]
    (evidence / "flows.log").write_text("\n".join(lines) + "\n")
    if interfaces is not None:
        (evidence / "enis.json").write_text(json.dumps({"NetworkInterfaces": interfaces}))
    if indicators is not None:
        (evidence / "list.csv").write_text(indicators)
    if lines := [json.dumps(value) for value in json_lines]:
        (evidence / "other.jsonl").write_text("\n".join(lines))
    case = Case.create(folder / "case")
    loaded = case.ingest(evidence)
    assert loaded["quarantined"].sum() == 0, case.quarantine.to_pandas().to_dict("records")
    return case
