"""Who held which address when: interfaces and instances in time, from all that tells of them.

An inventory holds for its moment only; private addresses are given anew within minutes of an
instance's end. So each statement is put in its place in time: inventories with their attachment
times, AWS Config with its capture times, CloudTrail with what was made, attached, detached and
ended, and the flow logs themselves, whose records show when an interface was alive.

Where the evidence does not say when an interface came to an address that another of the same VPC
held before, the later one's first sign of life (its first record, …) counts as the change. One that
only an undated inventory tells of comes last: inventories are taken when all is over. Interfaces in
one and the same answer stood side by side: their VPCs are two, and no change is made up between
them.

Known limits: StopInstances ends nothing, a stopped instance keeps its private addresses; an
interface deleted outside what CloudTrail and Config cover is held to live until its address has
another holder; an instance's end counts from the call, its last packets come up to minutes later.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from urllib.parse import unquote

import ibis
import pyarrow as pa
from ibis import _

from flowbench.enrich.interface_events import Said
from flowbench.enrich.interface_history import BEFORE, FILLED, Interface, Known, Row
from flowbench.enrich.inventory import of_regional_nat, own_addresses
from flowbench.loaders.aws import interfaces as network_interfaces
from flowbench.schema import ITEM, ORIGIN, Table

TABLE = Table.of(
    "holders",
    ("address", "string", "a private IPv4 or an IPv6 address"),
    ("interface_id", "string", "the interface that held it"),
    ("instance_id", "string", "the instance that the interface was attached to"),
    ("service", "string", "what kind of thing owned it: ec2, rds, nat-gateway, …"),
    ("name", "string", "the interface's Name tag, or its instance's"),
    ("tags", "tags", "the instance's tags and the interface's, which win"),
    ("vpc_id", "string", "its VPC"),
    ("subnet_id", "string", "its subnet"),
    ("account_id", "string", "the account that owned it"),
    ("public_addresses", "strings", "public addresses that led to it"),
    ("valid_from", "time", "since when it held it; null: since before the evidence"),
    ("valid_until", "time", "until when; null: as far as the evidence goes"),
    ("known_from", "string", "who told: inventory, cloudtrail, or logs"),
    *ORIGIN,
    ITEM,
)

_LOGGED = (
    *("vpc_id", "subnet_id", "account_id", "interface_type"),
    *("instance_tag", "instance_tag_2", "interface_tag", "interface_tag_2"),
)


def sightings(flows: ibis.Table, interfaces: ibis.Table) -> ibis.Table:
    """The interfaces in flow log records, as an expression: a row per interface and instance.

    Columns: interface_id, instance_id, first_seen, last_seen, what else the records say of it (see
    _LOGGED), addresses (see addresses.own_addresses). A regional NAT gateway, which has no
    interface, stands there by its own id.
    """
    f = flows
    if (regional := of_regional_nat(flows)) is not None:
        kind = f.interface_type if "interface_type" in f.columns else ibis.null("string")
        f = f.mutate(
            interface_id=regional.ifelse(f.resource_id, f.interface_id),
            interface_type=regional.ifelse("regional_nat_gateway", kind),
        )
    f = f.filter(f.interface_id.notnull())
    said = {name: f[name].max() for name in _LOGGED if name in f.columns}
    seen = f.group_by("interface_id", "instance_id").aggregate(
        first_seen=f.start.min(), last_seen=f["end"].max(), **said
    )
    own = own_addresses(flows, interfaces)
    mine = own.group_by("interface_id").aggregate(
        addresses=own.address.collect(order_by=own.address)
    )
    seen = seen.left_join(mine, "interface_id").drop("interface_id_right")
    missing = {name: ibis.null("string") for name in _LOGGED if name not in seen.columns}
    return seen.mutate(**missing)


def holders(
    interfaces: ibis.Table, instances: ibis.Table, said: list[Said], seen: ibis.Table
) -> pa.Table:
    """Who held which address when (TABLE), ordered by address, valid_from, interface_id.

    ``interfaces`` and ``instances`` are the inventory's tables, ``said`` what enrich.calls.said
    returned, ``seen`` what ``sightings`` did.
    """
    known = Known()
    _from_inventory(known, interfaces)
    _from_calls(known, said)
    _from_logs(known, seen)
    _from_instances(known, instances, said)
    rows = [row for one in known.interfaces.values() for row in one.rows(known)]
    by_address: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_address[row["address"]].append(row)
    found = [row for group in by_address.values() for row in _in_turn(group)]
    return TABLE.rows(sorted(found, key=_order))


def _order(row: Row) -> tuple[str, datetime, str, str]:
    begun = row["valid_from"] or BEFORE
    return row["address"], begun, row["interface_id"] or "", row["instance_id"] or ""


def _from_inventory(known: Known, interfaces: ibis.Table) -> None:
    columns = (
        *("interface_id", "instance_id", "attached_at", "attachment_id", "status", "addresses"),
        *("private_address", "observed_at", "evidence_id", "line", "item", *FILLED),
    )
    # An answer is at least as young as the youngest attachment in it.
    order = ("observed_at", "evidence_id", "item", "interface_id", "instance_id")
    by_answer = ibis.window(group_by="evidence_id")
    listed = interfaces.filter(interfaces.interface_id.notnull()).select(*columns)
    listed = listed.mutate(
        seen_at=ibis.coalesce(_.observed_at, _.attached_at.max().over(by_answer))
    ).order_by(*order)
    held: dict[str, tuple[datetime, set[str]]] = {}
    for row in listed.to_pyarrow().to_pylist():
        one = known.interface(row["interface_id"])
        age = (row["seen_at"] or BEFORE, row["evidence_id"], row["item"])
        one.details.append((age, row))
        if row["status"] == "deleted":
            one.died = min(row["observed_at"], one.died or row["observed_at"])
            continue
        one.alive(row["observed_at"])
        addresses = {a for a in (row["private_address"], *(row["addresses"] or ())) if a}
        for address in sorted(addresses):
            one.holds(address, None)
        if row["observed_at"] is None:
            one.answers.add(row["evidence_id"])
            if row["seen_at"]:
                one.listed = min(row["seen_at"], one.listed or row["seen_at"])
        elif addresses:
            _lost(one, held.get(row["interface_id"]), addresses, row["observed_at"])
            held[row["interface_id"]] = row["observed_at"], addresses
        one.told["inventory", row["instance_id"]] = row
        if row["instance_id"]:
            one.on.append((row["attached_at"], row["seen_at"], row["instance_id"]))
        elif row["observed_at"] and row["status"] == "available":
            one.off.append((row["observed_at"], None))
        if row["attachment_id"]:
            known.by_attachment[row["attachment_id"]] = one


def _lost(
    one: Interface, before: tuple[datetime, set[str]] | None, now: set[str], at: datetime
) -> None:
    """Of two dated words on an interface, the later ends what it no longer lists."""
    for address in (before[1] if before else set()) - now:
        one.addresses[address][1] = at
    for address in now - (before[1] if before else now):
        one.addresses[address][0] = one.addresses[address][0] or at


def _from_calls(known: Known, said: list[Said]) -> None:
    for word in said:
        if word.what == "ended":
            known.end(word.instance_id or "", word.at)
        elif word.what == "tagged":
            tags = known.tags.setdefault(word.interface_id or "", {})
            tags |= word.tags
        elif word.what == "detached":
            if one := known.by_attachment.get(word.attachment_id or ""):
                one.off.append((word.at, None))
        else:
            _about_interface(known, word)


def _about_interface(known: Known, word: Said) -> None:
    one = known.interface(word.interface_id, word.instance_id)
    one.told.setdefault(("cloudtrail", word.instance_id), word.origin)
    if word.known:
        one.details.append(((word.at, word.origin["evidence_id"], word.origin["item"]), word.known))
    if word.attachment_id:
        known.by_attachment[word.attachment_id] = one
    if word.what == "deleted":
        one.died = min(word.at, one.died or word.at)
        return
    one.alive(word.at)
    if word.what == "made":
        one.born = min(word.at, one.born or word.at)
    for address in word.addresses:
        if word.what == "taken":
            one.holds(address, None)
            one.addresses[address][1] = word.at
        else:
            one.holds(address, word.at)
            if word.what == "given":
                one.addresses[address][0] = one.addresses[address][0] or word.at
                one.addresses[address][1] = None  # taken before, perhaps; it is back
    if word.instance_id:
        one.on.append((word.at, word.at, word.instance_id))


def _from_logs(known: Known, seen: ibis.Table) -> None:
    ordered = seen.order_by("interface_id", "first_seen", "instance_id")
    for row in ordered.to_pyarrow().to_pylist():
        one = known.interface(row["interface_id"])
        one.alive(row["first_seen"], row["last_seen"])
        if not one.addresses:
            for address in row["addresses"] or ():
                one.holds(address, None)
        if row["instance_id"]:
            one.on.append((None, row["first_seen"], row["instance_id"]))
        one.told["logs", row["instance_id"]] = {}
        account = None if row["account_id"] == "unknown" else row["account_id"]
        kind = row["interface_type"]
        tags = [
            (name.replace("_", "-"), unquote(row[name]))
            for name in _LOGGED
            if "_tag" in name and row[name]
        ]
        about = {"vpc_id": row["vpc_id"], "subnet_id": row["subnet_id"], "account_id": account}
        about |= {"service": network_interfaces.service({"interfaceType": kind}), "tags": tags}
        one.details.append(((BEFORE, "", 0), about))


def _from_instances(known: Known, instances: ibis.Table, said: list[Said]) -> None:
    for word in said:
        if word.what == "made" and word.instance_id and word.tags:
            known.tags[word.instance_id] = word.tags | known.tags.get(word.instance_id, {})
    rows = instances.select(
        "instance_id", "tags", "state", "ended_at", "observed_at", "evidence_id", "item"
    ).order_by("observed_at", "evidence_id", "item")
    for row in rows.to_pyarrow().to_pylist():
        if row["tags"]:
            known.tags[row["instance_id"]] = dict(row["tags"])
        if row["state"] == "terminated" and (at := row["ended_at"] or row["observed_at"]):
            known.end(row["instance_id"], at)


def _in_turn(rows: list[Row]) -> list[Row]:
    """The holders of one address with each one's time ended where the next one's begins."""
    rows.sort(key=lambda row: (*_coming(row), row["interface_id"] or ""))
    held: list[Row] = []
    for row in rows:
        start = row["_sign"]
        if start is None and row["_answers"]:
            before = [one for one in rows if one["_sign"] and _one_after_another(one, row)]
            last = [one["valid_until"] or one["_last"] or one["_sign"] for one in before]
            start = max([row["_listed"] or BEFORE, *last]) if before else None
            row["_sign"] = start
        for other in held if start is not None else ():
            if not _one_after_another(other, row):
                continue
            if other["valid_until"] is None or other["valid_until"] > start:
                other["valid_until"] = start
            if row["valid_from"] is None or row["valid_from"] < other["valid_until"]:
                row["valid_from"] = other["valid_until"]
        held = [one for one in held if one["valid_until"] is None or start is None
                or one["valid_until"] > start]  # fmt: skip
        held.append(row)
    # Two that began at the same moment: the one that sorts first held it for no time.
    return [
        row
        for row in rows
        if not (row["valid_from"] and row["valid_until"]) or row["valid_from"] < row["valid_until"]
    ]


def _coming(row: Row) -> tuple[bool, datetime]:
    """The order in which holders came: by sign of life; none, then what is only listed, last."""
    late = row["_sign"] is None and bool(row["_answers"])
    return late, row["_sign"] or (row["_listed"] if late else None) or BEFORE


def _one_after_another(one: Row, other: Row) -> bool:
    """Whether two cannot have held the address at the same time."""
    apart = one["vpc_id"] and other["vpc_id"] and one["vpc_id"] != other["vpc_id"]
    return not (
        apart or one["_interface"] == other["_interface"] or one["_answers"] & other["_answers"]
    )
