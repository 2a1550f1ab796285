"""Flow logs in OCSF (Network Activity, class 4001), as Security Lake and its users keep them.

AWS's mapping is turned round, as its published examples give it for OCSF 1.0.0-rc.2 to 1.5, and
the labels of the first Security Lake files (0.39). What the mapping leaves out is not made up:
``traffic_path`` of an unknown boundary is null, and ``srcaddr`` equals ``pkt_srcaddr`` where there
is no intermediate address. Events of other classes and products go to quarantine.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowbench.loaders.base import File
from flowbench.loaders.flowlogs.json import RawRecords, column
from flowbench.loaders.flowlogs.normalize import sound, text
from flowbench.loaders.flowlogs.validate import RawLines
from flowbench.loaders.json_file import Record
from flowbench.schema import FLOW_FIELDS, FLOWS

KIND = "flow-logs"
TABLE = FLOWS

_CLASS = "4001"
_PLAIN = {  # our column: where its value stands, the first that has one
    "version": ("metadata.product.version",),
    "account_id": ("cloud.account.uid", "cloud.account_uid"),
    "region": ("cloud.region",),
    "az_id": ("cloud.zone",),
    "pkt_srcaddr": ("src_endpoint.ip",),
    "pkt_dstaddr": ("dst_endpoint.ip",),
    "srcport": ("src_endpoint.port",),
    "dstport": ("dst_endpoint.port",),
    "pkt_src_aws_service": ("src_endpoint.svc_name",),
    "pkt_dst_aws_service": ("dst_endpoint.svc_name",),
    "protocol": ("connection_info.protocol_num",),
    "tcp_flags": ("connection_info.tcp_flags",),
    "packets": ("traffic.packets",),
    "bytes": ("traffic.bytes",),
    "start": ("start_time_dt", "start_time", "time_dt", "time"),
    "end": ("end_time_dt", "end_time"),
    "log_status": ("status_code", "unmapped.log_status"),
}
_AT_INTERFACE = ("interface", "vpc", "subnet", "instance")
_DIRECTIONS = {"1": "ingress", "2": "egress"}
_SPOKEN = {"inbound": "ingress", "ingress": "ingress", "outbound": "egress", "egress": "egress"}
_PATHS = {str(path + 3): str(path) for path in range(1, 9)}
_TYPES = {"4": "IPv4", "6": "IPv6"}
_ACTIONS = (  # the first of these that tells
    ("action_id", {"1": "ACCEPT", "2": "REJECT"}),
    ("action", {"Allowed": "ACCEPT", "Denied": "REJECT"}),
    ("disposition_id", {"1": "ACCEPT", "2": "REJECT"}),
    ("disposition", {"Allowed": "ACCEPT", "Blocked": "REJECT"}),
    ("activity_id", {"1": "ACCEPT", "5": "REJECT"}),
    ("activity_name", {"Established": "ACCEPT", "Refused": "REJECT"}),
    ("activity", {"Established": "ACCEPT", "Refused": "REJECT"}),
)
_SHOWN = 5  # other products that a file's quarantine names


class Leaves(Protocol):
    """Events of which any field can be asked for."""

    rows: int

    def at(self, path: str) -> pa.ChunkedArray | None:
        """The values at a path, or None where no event has it."""

    def unmapped(self) -> Iterable[str]:
        """The names under ``unmapped``."""


def describes(names: list[str]) -> bool:
    """Whether a table of these columns is one of OCSF events."""
    return {"class_uid", "metadata"} <= set(names)


def matches(value: object) -> list[object] | None:
    """The OCSF events in a JSON value, of whatever class, or None for anything else."""
    if isinstance(value, list):
        return value if any(map(_is_event, value)) else None
    return [value] if _is_event(value) else None


def to_tables(waiting: list[Record], file: File) -> Iterable[pa.Table]:
    """Events of JSON as a table of flows, with ``line`` and ``item``."""
    records = [record if isinstance(record, dict) else {} for *_, record in waiting]
    lines, items = (np.array([each[place] for each in waiting], np.int64) for place in (0, 1))
    yield flows(_Objects(records), lines, RawRecords(waiting), file, items)


def from_table(rows: pa.Table, numbers: np.ndarray, raw: RawLines, file: File) -> pa.Table:
    """Events of a Parquet file as a table of flows; ``numbers`` are their lines."""
    return flows(_Structs(rows), numbers, raw, file, None)


def flows(
    events: Leaves, lines: np.ndarray, raw: RawLines, file: File, items: np.ndarray | None
) -> pa.Table:
    """The events that are flow log records as those; the others are in quarantine."""
    keep = _kept(events, lines, raw, file, items)
    table = pa.table(_columns(events)).filter(pa.array(keep))
    file.fields.update(table.column_names if table.num_rows else ())
    return sound(table, lines[keep], raw, file, None if items is None else items[keep])


def _kept(
    events: Leaves, lines: np.ndarray, raw: RawLines, file: File, items: np.ndarray | None
) -> np.ndarray:
    """Which events are VPC flow log records; why the others are not, in quarantine."""
    classes, products = _text(events, "class_uid"), _text(events, "metadata.product.name")
    ours = pc.fill_null(pc.match_substring(products, "vpc", ignore_case=True), True)
    keep = pc.and_(pc.fill_null(pc.equal(classes, _CLASS), False), ours)
    keep = np.asarray(keep.to_numpy(zero_copy_only=False), bool)
    refused = np.flatnonzero(~keep)
    if items is not None:
        for row in refused.tolist():
            item = int(items[row])
            reason = _other(classes[row].as_py(), products[row].as_py())
            file.quarantine(reason, line=int(lines[row]), item=item, raw=raw[item])
    elif refused.size:  # a table of another class: told once a batch
        found = pa.table({"class": classes, "product": products}).take(pa.array(refused))
        kinds = found.group_by(["class", "product"]).aggregate([]).to_pylist()
        told = sorted({_other(kind["class"], kind["product"]) for kind in kinds})
        more = f" and {len(told) - _SHOWN} other kinds" if len(told) > _SHOWN else ""
        first = int(lines[refused[0]])
        reason = f"{refused.size:,} rows of {'; '.join(told[:_SHOWN])}{more}"
        file.quarantine(reason, line=first, raw=raw[first])
    return keep


def _other(class_uid: str | None, product: str | None) -> str:
    shown = (product or "an unnamed product")[:60]
    return f"OCSF class {(class_uid or 'unknown')[:20]} of {shown}: not Amazon VPC's flow logs"


def _columns(events: Leaves) -> dict[str, pa.ChunkedArray]:
    """Our columns, those that hold anything."""
    made = {name: _first(events, *paths) for name, paths in _PLAIN.items()}
    for side in ("src", "dst"):
        hop = events.at(f"{side}_endpoint.intermediate_ips")
        end = made[f"pkt_{side}addr"]
        made[f"{side}addr"] = end if hop is None else pc.coalesce(text(_head(hop)), end)
    told = _mapped(pc.utf8_lower(_text(events, "connection_info.direction")), _SPOKEN)
    direction = pc.coalesce(
        _mapped(_text(events, "connection_info.direction_id"), _DIRECTIONS), told
    )
    made["flow_direction"] = direction
    inward = pc.fill_null(pc.equal(direction, "ingress"), False)
    for name in _AT_INTERFACE:
        source, target = (_text(events, f"{side}_endpoint.{name}_uid") for side in ("src", "dst"))
        made[f"{name}_id"] = pc.if_else(
            inward, pc.coalesce(target, source), pc.coalesce(source, target)
        )
    version = _text(events, "connection_info.protocol_ver")
    made["type"] = pc.coalesce(
        _mapped(pc.replace_substring_regex(version, r".*IPv([46]).*", r"\1"), _TYPES),
        _mapped(_text(events, "connection_info.protocol_ver_id"), _TYPES),
        version,
    )
    made["traffic_path"] = _mapped(_text(events, "connection_info.boundary_id"), _PATHS)
    made["action"] = pc.coalesce(*(_mapped(_text(events, at), words) for at, words in _ACTIONS))
    for name in events.unmapped():
        if (column_ := name.replace("-", "_")) in FLOW_FIELDS and column_ not in made:
            made[column_] = _text(events, f"unmapped.{name}")
    return {name: found for name, found in made.items() if found.null_count < len(found)} or {
        "start": pa.nulls(events.rows, pa.int64())
    }


def _first(events: Leaves, *paths: str) -> pa.ChunkedArray:
    """For each event the first of some values that is there, as text; times in milliseconds."""
    return pc.coalesce(*(_text(events, path) for path in paths))


def _text(events: Leaves, path: str) -> pa.ChunkedArray:
    found = events.at(path)
    if found is None:
        return pa.chunked_array([pa.nulls(events.rows, pa.string())])
    if pa.types.is_timestamp(found.type):
        found = found.cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
    return text(found)


def _mapped(column: pa.ChunkedArray, words: dict[str, str]) -> pa.ChunkedArray:
    """Words for words; null for any other."""
    places = pc.index_in(column, pa.array(list(words), pa.string()))
    return pc.take(pa.chunked_array([pa.array(list(words.values()), pa.string())]), places)


def _head(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The first element of each list; of what is none, itself."""
    if not pa.types.is_list(column.type):
        return column
    some = pc.fill_null(pc.greater(pc.list_value_length(column), 0), False)
    return pc.list_element(pc.if_else(some, column, pa.scalar([None], column.type)), 0)


def _is_event(value: object) -> bool:
    return isinstance(value, dict) and "class_uid" in value and "metadata" in value


class _Structs:
    """Events in the nested columns of a table. Which fields a struct has differs by version."""

    def __init__(self, rows: pa.Table) -> None:
        self.rows = rows.num_rows
        self._table = rows

    def at(self, path: str) -> pa.ChunkedArray | None:
        """The values at a path, or None where no event has it."""
        top, *inner = path.split(".")
        found = self._table[top] if top in self._table.column_names else None
        for name in inner:
            if found is None:
                return None
            if pa.types.is_map(found.type):
                found = pc.map_lookup(found, name, "first")
            elif pa.types.is_struct(found.type) and found.type.get_field_index(name) >= 0:
                found = pc.struct_field(found, name)
            else:
                return None
        return found

    def unmapped(self) -> Iterable[str]:
        """The names under ``unmapped``."""
        found = self.at("unmapped")
        if found is None:
            return []
        if pa.types.is_struct(found.type):
            return sorted(field.name for field in found.type)
        if not pa.types.is_map(found.type) or not pa.types.is_string(found.type.key_type):
            return []
        return sorted(
            {name for chunk in found.chunks for name in pc.unique(chunk.keys).to_pylist()}
        )


class _Objects:
    """Events as objects of JSON, in which anything may stand anywhere."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        self.rows = len(records)
        self._levels = {"": records}

    def at(self, path: str) -> pa.ChunkedArray | None:
        """The values at a path, or None where no event has it."""
        above, _, name = path.rpartition(".")
        values = [each.get(name) for each in self._level(above)]
        if name == "intermediate_ips":
            values = [each[0] if isinstance(each, list) and each else None for each in values]
        if all(value is None for value in values):
            return None
        return pa.chunked_array([column(values)])

    def unmapped(self) -> Iterable[str]:
        """The names under ``unmapped``."""
        return sorted({name for each in self._level("unmapped") for name in each})

    def _level(self, path: str) -> list[dict[str, Any]]:
        if path not in self._levels:
            above, _, name = path.rpartition(".")
            found = (each.get(name) for each in self._level(above))
            self._levels[path] = [each if isinstance(each, dict) else {} for each in found]
        return self._levels[path]
