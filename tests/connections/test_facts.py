"""Facts about hosts: which are gathered, and which change old connections (test_extension)."""

from __future__ import annotations

from flowbench import engine
from flowbench.connections.facts import Facts, changes_old, find_facts, write_facts
from flowbench.connections.staging import select_records
from flowbench.enrich.monitored_network import Inventory
from flowbench.enrich.own_addresses import own_addresses
from flowbench.loaders.aws import vpcs
from tests.traffic import T0, connect, interface, make_case


def test_facts_of_interfaces_and_networks(tmp_path) -> None:
    listed = [interface("10.0.1.1", "nat", kind="nat_gateway")]
    case = make_case(tmp_path, connect("10.0.0.5", "203.0.113.7", 443, T0), interfaces=listed)
    backend, flows = case._connection, case.flows
    own = own_addresses(backend, flows, case.interfaces)

    def find(*networks: str) -> Facts:
        rows = vpcs.TABLE.rows([{"cidrs": list(networks)}])
        inventory = Inventory(case.interfaces, vpcs=engine.register(backend, rows))
        return find_facts(backend, flows, select_records(flows), inventory, own)

    facts = find("10.0.0.0/16")
    rows = facts.rows.order_by("kind", "interface_id").to_pyarrow().to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("nat-gateway", "eni-nat", None),
        ("own", "eni-a", "10.0.0.5"),
        ("own", "eni-nat", "10.0.1.1"),
    ]
    write_facts(backend, facts, tmp_path)
    assert not changes_old(backend, facts, tmp_path, flows)
    assert changes_old(backend, find("203.0.113.0/24"), tmp_path, flows)
