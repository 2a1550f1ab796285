"""The connections of a few records, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flowbench.case import Case
from flowbench.connections.staging import Staged, stage_records
from flowbench.enrich.monitored_network import Inventory
from flowbench.enrich.own_addresses import own_addresses
from tests.traffic import make_case


def rows(folder: Path, records: Any, **more: Any) -> list[dict[str, Any]]:
    """Return the connections of these records, by first_seen and initiator port."""
    case = make_case(folder, records, **more)
    table = case.connections.order_by("first_seen", "initiator_port")
    return table.to_pyarrow().to_pylist()


def stage(case: Case, folder: Path, per_part: int) -> Staged:
    """Return the staged records of a case."""
    backend, flows, interfaces = case._connection, case.flows, case.interfaces
    own = own_addresses(backend, flows, interfaces)
    return stage_records(backend, flows, Inventory(interfaces), own, folder, per_part)
