"""The record that a connection begins with: its file, line and item."""

from __future__ import annotations

from pathlib import Path

from flowbench.investigate.timeline.origins import find_origins
from flowbench.schema import DEFAULT_FORMAT
from tests.traffic import T0, connect, make_case

HOST, PEER = "10.0.0.5", "203.0.113.50"


def test_the_initiators_first_record(tmp_path: Path) -> None:
    records = [
        record
        for n in (1, 0)  # the later one stands first in the file
        for record in connect(HOST, PEER, 443, T0 + 900 * n, source_port=40_000, seconds=200)
    ]
    case = make_case(tmp_path, records, fields=DEFAULT_FORMAT)
    rows = case.connections_of(HOST)
    origins = find_origins(case, rows)
    lines = {row["evidence_id"]: row for row in origins.values()}
    assert len(lines) == 1  # one file
    flows = case.flows.order_by("line").to_pandas()
    for index, row in rows.iterrows():
        line = origins[index]["line"]
        (record,) = flows[flows["line"] == line].to_dict("records")
        assert (record["srcaddr"], record["start"]) == (HOST, row["first_seen"])


def test_no_connections(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(HOST, PEER, 443, T0))
    assert find_origins(case, case.connections_of(HOST).head(0)) == {}
