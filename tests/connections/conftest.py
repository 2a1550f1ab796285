"""The connections of a few records, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flowbench.case import Case
from flowbench.connections.facts import find_facts
from flowbench.connections.periods import find_periods
from flowbench.connections.staging import Staged, select_records, stage_records
from flowbench.enrich.monitored_network import Inventory
from flowbench.enrich.own_addresses import own_addresses
from tests.traffic import make_case


def rows(folder: Path, records: Any, **more: Any) -> list[dict[str, Any]]:
    """Return the connections of these records, by first_seen and initiator port."""
    case = make_case(folder, records, **more)
    table = case.connections.order_by("first_seen", "initiator_port")
    return table.to_pyarrow().to_pylist()


def stage(case: Case, folder: Path, per_file: int = 1_000) -> Staged:
    """Return the staged records of a case."""
    backend, flows, inventory = case._connection, case.flows, Inventory(case.interfaces)
    own = own_addresses(backend, flows, inventory.interfaces)
    records = select_records(flows)
    facts = find_facts(backend, flows, records, inventory, own)
    periods = find_periods(backend, records, per_file)
    return stage_records(backend, records, inventory, facts, periods, folder)
