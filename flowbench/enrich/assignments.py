"""Address assignments in time: which interface and instance had which address when.

An inventory is true for its moment only; a private address is assigned anew within minutes of an
instance's end. So every statement has its place in time: inventories with their attachment times,
AWS Config with its capture times, CloudTrail with creations, attachments, detachments and ends,
and flow log records, which show when an interface was in use.

Where the evidence does not tell when an interface received an address that another one of the same
VPC had before, the first sign of the later one (its first record, …) counts as the change. An
interface of which only an undated inventory tells comes last: inventories are usually recorded
after the incident. Interfaces in one and the same answer existed at the same time: they are in
different VPCs, and no change is assumed between them.

Known limits: StopInstances ends nothing, a stopped instance keeps its private addresses; an
interface that was deleted outside of what CloudTrail and Config cover counts as present until its
address is assigned to another one; an instance's end is the time of the call, its last packets
come up to minutes later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import ibis
import pyarrow as pa
from ibis import _

from flowbench.enrich import public_addresses
from flowbench.enrich.assignment_sequence import EARLIEST, Assignment, in_sequence
from flowbench.enrich.interface_events import InterfaceEvent, Origin
from flowbench.enrich.interface_history import DETAILS, History, Interface, Sighting
from flowbench.enrich.own_addresses import is_regional_nat
from flowbench.loaders.aws import interfaces as network_interfaces
from flowbench.schema import ITEM, ORIGIN, Table

TABLE = Table.of(
    "address_assignments",
    ("address", "string", "an interface's own address, or a public one that maps to none of them"),
    ("interface_id", "string", "the interface that it was assigned to"),
    ("instance_id", "string", "the instance that the interface was attached to"),
    ("service", "string", "the AWS service of the interface: ec2, rds, nat-gateway, …"),
    ("name", "string", "the interface's Name tag, or its instance's"),
    ("tags", "tags", "tags of instance and interface; those of the interface win"),
    ("vpc_id", "string", "its VPC"),
    ("subnet_id", "string", "its subnet"),
    ("account_id", "string", "the account that owned the interface"),
    ("public_addresses", "strings", "public addresses that map to it"),
    ("valid_from", "time", "start of the assignment; null: before the evidence"),
    ("valid_until", "time", "end of the assignment; null: open"),
    ("known_from", "string", "data source: inventory, cloudtrail, or logs"),
    *ORIGIN,
    ITEM,
)

_LOGGED = (
    "vpc_id",
    "subnet_id",
    "account_id",
    "interface_type",
    "instance_tag",
    "instance_tag_2",
    "interface_tag",
    "interface_tag_2",
)
_INVENTORY = (
    "interface_id",
    "instance_id",
    "attached_at",
    "attachment_id",
    "status",
    "addresses",
    "private_address",
    "observed_at",
    "evidence_id",
    "line",
    "item",
    *DETAILS,
)


def find_sightings(flows: ibis.Table, own: ibis.Table) -> ibis.Table:
    """Find the interfaces in flow log records, as an expression.

    Args:
        flows: Flow log records (schema.FLOWS).
        own: The own addresses of interfaces (own_addresses).

    Returns:
        A row per interface and instance: interface_id, instance_id, first_seen, last_seen, the
        columns _LOGGED, addresses (its own). A regional NAT gateway, which has
        no interface, has its resource id as interface_id.
    """
    f = flows
    if (regional := is_regional_nat(flows)) is not None:
        kind = f.interface_type if "interface_type" in f.columns else ibis.null("string")
        f = f.mutate(
            interface_id=regional.ifelse(f.resource_id, f.interface_id),
            interface_type=regional.ifelse("regional_nat_gateway", kind),
        )
    f = f.filter(f.interface_id.notnull())
    logged = {name: f[name].max() for name in _LOGGED if name in f.columns}
    seen = f.group_by("interface_id", "instance_id").aggregate(
        first_seen=f.start.min(), last_seen=f["end"].max(), **logged
    )
    addresses = own.group_by("interface_id").aggregate(
        addresses=own.address.collect(order_by=own.address)
    )
    seen = seen.left_join(addresses, "interface_id").drop("interface_id_right")
    missing = {name: ibis.null("string") for name in _LOGGED if name not in seen.columns}
    return seen.mutate(**missing)


def build_assignments(
    interfaces: ibis.Table,
    instances: ibis.Table,
    elastic_ips: ibis.Table,
    events: list[InterfaceEvent],
    sightings: ibis.Table,
    zones: ibis.Table,
) -> pa.Table:
    """Put all statements about addresses in order.

    Args:
        interfaces: The inventory of interfaces (loaders.aws.interfaces.TABLE).
        instances: The inventory of instances (loaders.aws.instances.TABLE).
        elastic_ips: The inventory of Elastic IPs (loaders.aws.elastic_ips.TABLE).
        events: The result of interface_events.read_events.
        sightings: The result of find_sightings.
        zones: Which hosts have an address in common (connections.zones.TABLE).

    Returns:
        TABLE, ordered by address, valid_from, interface_id and instance_id.
    """
    history = History()
    _add_inventory(history, interfaces)
    _add_events(history, events)
    _add_sightings(history, sightings)
    _add_instances(history, instances, events)
    public_addresses.add_elastic_ips(history, elastic_ips)
    public_addresses.add_instances(history, instances)
    by_address: dict[str, list[Assignment]] = defaultdict(list)
    hosts = _read_hosts(zones)
    for interface in history.interfaces.values():
        for each in interface.assignments(history):
            # An interface without records is the host in its VPC.
            for place in (each.interface_id, each.vpc_id):
                each.address = hosts.get((each.address, place), each.address)
            by_address[each.address].append(each)
    assignments = [each for group in by_address.values() for each in in_sequence(group)]
    return TABLE.rows(each.to_row() for each in sorted(assignments, key=_order))


def _read_hosts(zones: ibis.Table) -> dict[tuple[str, str | None], str]:
    """Which host an address is, by interface and by VPC."""
    own = zones.filter(zones.own).to_pyarrow().to_pylist()
    hosts = {(row["address"], row["vpc_id"]): row["host"] for row in own if row["vpc_id"]}
    return hosts | {(row["address"], row["interface_id"]): row["host"] for row in own}


def _order(each: Assignment) -> tuple[str, datetime, str, str]:
    start = each.valid_from or EARLIEST
    return each.address, start, each.interface_id or "", each.instance_id or ""


def _add_inventory(history: History, interfaces: ibis.Table) -> None:
    # An answer is at least as young as the youngest attachment in it.
    by_answer = ibis.window(group_by="evidence_id")
    listed = interfaces.filter(interfaces.interface_id.notnull()).select(*_INVENTORY)
    listed = listed.mutate(
        seen_at=ibis.coalesce(_.observed_at, _.attached_at.max().over(by_answer))
    ).order_by("observed_at", "evidence_id", "item", "interface_id", "instance_id")
    previous: dict[str, set[str]] = {}  # by interface, the addresses in the last dated answer
    for row in listed.to_pyarrow().to_pylist():
        interface = history.interface(row["interface_id"])
        age = (row["seen_at"] or EARLIEST, row["evidence_id"], row["item"])
        interface.details.append((age, row))
        if row["status"] == "deleted":
            interface.delete(row["observed_at"])
            continue
        interface.add_sign(row["observed_at"])
        addresses = {a for a in (row["private_address"], *(row["addresses"] or ())) if a}
        for address in sorted(addresses):
            interface.add_address(address, None)
        if row["observed_at"] is None:
            interface.undated.add(row["evidence_id"])
            if row["seen_at"]:
                interface.listed_at = min(row["seen_at"], interface.listed_at or row["seen_at"])
        elif addresses:
            before = previous.get(row["interface_id"], addresses)
            interface.compare_answers(before, addresses, row["observed_at"])
            previous[row["interface_id"]] = addresses
        _add_attachment(history, interface, row)


def _add_attachment(history: History, interface: Interface, row: Mapping[str, Any]) -> None:
    """Note the attachment in a row of an inventory, or that there was none."""
    origin = Origin(row["evidence_id"], row["line"], row["item"])
    interface.origins["inventory", row["instance_id"]] = origin
    if row["instance_id"]:
        sighting = Sighting(row["attached_at"], row["seen_at"], row["instance_id"])
        interface.attached.append(sighting)
    elif row["observed_at"] and row["status"] == "available":
        interface.detached.append(row["observed_at"])
    if row["attachment_id"]:
        history.by_attachment[row["attachment_id"]] = interface


def _add_events(history: History, events: list[InterfaceEvent]) -> None:
    for event in events:
        if event.kind == "terminated":
            history.terminate(event.instance_id or "", event.at)
        elif event.kind == "tagged":
            history.tags.setdefault(event.interface_id or "", {}).update(event.tags)
        elif event.kind == "detached":
            if interface := history.by_attachment.get(event.attachment_id or ""):
                interface.detached.append(event.at)
        else:
            _add_interface_event(history, event)


def _add_interface_event(history: History, event: InterfaceEvent) -> None:
    interface = history.interface(event.interface_id, event.instance_id)
    interface.origins.setdefault(("cloudtrail", event.instance_id), event.origin)
    if event.details:
        age = (event.at, event.origin.evidence_id or "", event.origin.item or 0)
        interface.details.append((age, event.details))
    if event.attachment_id:
        history.by_attachment[event.attachment_id] = interface
    if event.kind == "deleted":
        interface.delete(event.at)
        return
    interface.add_sign(event.at)
    if event.kind == "created":
        interface.created_at = min(event.at, interface.created_at or event.at)
    for address in event.addresses:
        if event.kind == "unassigned":
            interface.add_address(address, None)
            interface.addresses[address][1] = event.at
            continue
        interface.add_address(address, event.at)
        if event.kind == "assigned":
            period = interface.addresses[address]
            period[:] = [period[0] or event.at, None]  # it may have been unassigned before
    if event.instance_id:
        interface.attached.append(Sighting(event.at, event.at, event.instance_id))


def _add_sightings(history: History, sightings: ibis.Table) -> None:
    ordered = sightings.order_by("interface_id", "first_seen", "instance_id")
    for row in ordered.to_pyarrow().to_pylist():
        interface = history.interface(row["interface_id"])
        interface.add_sign(row["first_seen"], row["last_seen"])
        if not interface.addresses:
            for address in row["addresses"] or ():
                interface.add_address(address, None)
        if row["instance_id"]:
            interface.attached.append(Sighting(None, row["first_seen"], row["instance_id"]))
        interface.origins["logs", row["instance_id"]] = Origin()
        tags = [
            (name.replace("_", "-"), unquote(row[name]))
            for name in _LOGGED
            if "_tag" in name and row[name]
        ]
        record = {"interfaceType": row["interface_type"]}
        details = {
            "vpc_id": row["vpc_id"],
            "subnet_id": row["subnet_id"],
            "account_id": None if row["account_id"] == "unknown" else row["account_id"],
            "service": network_interfaces.identify_service(record),
            "tags": tags,
        }
        interface.details.append(((EARLIEST, "", 0), details))


def _add_instances(history: History, instances: ibis.Table, events: list[InterfaceEvent]) -> None:
    for event in events:
        if event.kind == "created" and event.instance_id and event.tags:
            newer = history.tags.get(event.instance_id, {})
            history.tags[event.instance_id] = event.tags | newer
    rows = instances.select(
        "instance_id", "tags", "state", "ended_at", "observed_at", "evidence_id", "item"
    ).order_by("observed_at", "evidence_id", "item")
    for row in rows.to_pyarrow().to_pylist():
        if row["tags"]:
            history.tags[row["instance_id"]] = dict(row["tags"])
        if row["state"] == "terminated" and (at := row["ended_at"] or row["observed_at"]):
            history.terminate(row["instance_id"], at)
