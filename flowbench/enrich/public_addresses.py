"""Public addresses of the inventory that interfaces do not list: Elastic IPs, instances' addresses.

An answer of describe-network-interfaces has the public addresses of its interfaces. These are added
where such an answer is missing or older: associations in describe-addresses, Elastic IPs that are
associated with nothing, and the public address of an instance whose interfaces are unknown.

Limitation: an association holds for as long as its interface has the private address, since
describe-addresses does not tell when it was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis

from flowbench.enrich.assignment_sequence import EARLIEST
from flowbench.enrich.interface_events import Origin
from flowbench.enrich.interface_history import History, Interface, Sighting

_PLACE = ("evidence_id", "line", "item")
_ORDER = ("observed_at", "evidence_id", "item")


def add_elastic_ips(history: History, elastic_ips: ibis.Table) -> None:
    """Add the Elastic IPs (loaders.aws.elastic_ips.TABLE) to their interfaces."""
    for row in elastic_ips.order_by(_ORDER).to_pyarrow().to_pylist():
        public, private = row["public_address"], row["private_address"]
        interface = _interface_of(history, row["interface_id"], row["instance_id"])
        if interface is None:
            interface = _add_interface_of(history, public, row)
        else:
            interface.elastic_ips[public] = private
            for address in [private] if private else [] if interface.addresses else [public]:
                interface.add_address(address, None)
            interface.origins.setdefault(("inventory", row["instance_id"]), _origin(row))
        if row["instance_id"] and not interface.attached:
            interface.attached.append(Sighting(None, row["observed_at"], row["instance_id"]))


def add_instances(history: History, instances: ibis.Table) -> None:
    """Add the public addresses of instances (loaders.aws.instances.TABLE) without interfaces."""
    rows = instances.filter(instances.public_address.notnull())
    for row in rows.order_by(_ORDER).to_pyarrow().to_pylist():
        instance = row["instance_id"]
        if _interface_of(history, None, instance) is None:
            interface = _add_interface_of(history, row["public_address"], row)
            interface.attached.append(Sighting(None, row["observed_at"], instance))


def _interface_of(
    history: History, interface_id: str | None, instance_id: str | None
) -> Interface | None:
    """The interface by its id, or the first that is attached to an instance."""
    if interface_id:
        return history.interface(interface_id)
    attached = (i for i in history.interfaces.values() if instance_id in i.instances())
    return min(attached, key=lambda i: i.id or "", default=None) if instance_id else None


def _add_interface_of(history: History, public: str, row: Mapping[str, Any]) -> Interface:
    """Add an unknown interface, or none, that has a public address."""
    interface = history.interfaces.setdefault(("public", public), Interface(None))
    interface.add_address(public, None)
    details = {name: row.get(name) for name in ("vpc_id", "subnet_id", "account_id", "name")}
    age = (row["observed_at"] or EARLIEST, row["evidence_id"], row["item"] or 0)
    interface.details.append((age, details | {"tags": row["tags"]}))
    interface.origins["inventory", row["instance_id"]] = _origin(row)
    return interface


def _origin(row: Mapping[str, Any]) -> Origin:
    return Origin(*(row[name] for name in _PLACE))
