"""Flow logs in OCSF (Network Activity, class 4001), as Security Lake and its users keep them.

This reverses AWS's mapping, as its published examples show it for OCSF 1.0.0-rc.2 to 1.5, and as
the first Security Lake files have it (0.39). What the mapping leaves out stays unknown:
``traffic_path`` of an unknown boundary is null, and ``srcaddr`` equals ``pkt_srcaddr`` where there
is no intermediate address. Events of other classes and products go to quarantine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowbench.loaders.base import File
from flowbench.loaders.flowlogs.json import raw_by_item, to_column
from flowbench.loaders.flowlogs.normalize import normalize, to_text
from flowbench.loaders.flowlogs.validate import RawRecords
from flowbench.loaders.json_file import Record
from flowbench.loaders.values import JsonObject
from flowbench.schema import FLOW_FIELDS, FLOWS
from flowbench.text import list_some

KIND = "flow-logs"
TABLE = FLOWS

_CLASS = "4001"
_PATHS = {  # column: the paths of its value, of which the first that has one counts
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
_INTERFACE_FIELDS = ("interface", "vpc", "subnet", "instance")
_DIRECTION_IDS = {"1": "ingress", "2": "egress"}
_DIRECTIONS = {"inbound": "ingress", "ingress": "ingress", "outbound": "egress", "egress": "egress"}
_TRAFFIC_PATHS = {str(path + 3): str(path) for path in range(1, 9)}
_IP_VERSIONS = {"4": "IPv4", "6": "IPv6"}
_ACTIONS = (  # path and words; the first that has a word counts
    ("action_id", {"1": "ACCEPT", "2": "REJECT"}),
    ("action", {"Allowed": "ACCEPT", "Denied": "REJECT"}),
    ("disposition_id", {"1": "ACCEPT", "2": "REJECT"}),
    ("disposition", {"Allowed": "ACCEPT", "Blocked": "REJECT"}),
    ("activity_id", {"1": "ACCEPT", "5": "REJECT"}),
    ("activity_name", {"Established": "ACCEPT", "Refused": "REJECT"}),
    ("activity", {"Established": "ACCEPT", "Refused": "REJECT"}),
)
_MAX_SHOWN = 5  # other classes and products that a reason names


class Events(Protocol):
    """OCSF events of which any field can be read as a column."""

    count: int

    def column(self, path: str) -> pa.ChunkedArray | None:
        """Return the values at a path, or None where no event has it."""

    def unmapped_names(self) -> Iterable[str]:
        """Return the names under ``unmapped``."""


def is_ocsf(names: list[str]) -> bool:
    """Whether a table with these columns is one of OCSF events."""
    return {"class_uid", "metadata"} <= set(names)


def matches(value: object) -> list[object] | None:
    """Return the OCSF events in a JSON value, of whatever class, or None for anything else."""
    if isinstance(value, list):
        return value if any(map(_is_event, value)) else None
    return [value] if _is_event(value) else None


def to_tables(records: list[Record], file: File) -> Iterator[pa.Table]:
    """Convert events in JSON to a table of flow log records with ``line`` and ``item``."""
    objects = [record if isinstance(record, dict) else {} for *_, record in records]
    lines, items = (np.array([record[index] for record in records], np.int64) for index in (0, 1))
    yield _convert(_JsonEvents(objects), lines, raw_by_item(records), file, items)


def convert_table(rows: pa.Table, lines: np.ndarray, raw: RawRecords, file: File) -> pa.Table:
    """Convert events of a Parquet file to a table of flow log records.

    Args:
        rows: The events.
        lines: Their row numbers in the file, from 1.
        raw: Returns a row for the quarantine, by row number.
        file: The file.
    """
    return _convert(_TableEvents(rows), lines, raw, file, None)


def _convert(
    events: Events, lines: np.ndarray, raw: RawRecords, file: File, items: np.ndarray | None
) -> pa.Table:
    is_flow = _select_flows(events, lines, raw, file, items)
    table = pa.table(_map_columns(events)).filter(pa.array(is_flow))
    file.fields.update(table.column_names if table.num_rows else ())
    kept_items = None if items is None else items[is_flow]
    return normalize(table, lines[is_flow], raw, file, kept_items)


def _select_flows(
    events: Events, lines: np.ndarray, raw: RawRecords, file: File, items: np.ndarray | None
) -> np.ndarray:
    """Return which events are VPC flow log records, as booleans; the others go to quarantine."""
    classes, products = _text(events, "class_uid"), _text(events, "metadata.product.name")
    is_vpc = pc.fill_null(pc.match_substring(products, "vpc", ignore_case=True), True)
    is_flow = pc.and_(pc.fill_null(pc.equal(classes, _CLASS), False), is_vpc)
    is_flow = np.asarray(is_flow.to_numpy(zero_copy_only=False), bool)
    others = np.flatnonzero(~is_flow)
    if items is not None:
        for row in others.tolist():
            item = int(items[row])
            reason = _describe_other(classes[row].as_py(), products[row].as_py())
            file.quarantine(reason, line=int(lines[row]), item=item, raw=raw(item))
    elif others.size:  # a table of another class: one entry for a batch
        table = pa.table({"class": classes, "product": products}).take(pa.array(others))
        kinds = table.group_by(["class", "product"]).aggregate([]).to_pylist()
        descriptions = sorted({_describe_other(kind["class"], kind["product"]) for kind in kinds})
        shown = list_some(descriptions, _MAX_SHOWN, separator="; ", rest="other kinds")
        line = int(lines[others[0]])
        file.quarantine(f"{others.size:,} rows of {shown}", line=line, raw=raw(line))
    return is_flow


def _describe_other(class_uid: str | None, product: str | None) -> str:
    shown = (product or "an unnamed product")[:60]
    return f"OCSF class {(class_uid or 'unknown')[:20]} of {shown}: not Amazon VPC's flow logs"


def _map_columns(events: Events) -> dict[str, pa.ChunkedArray]:
    """Return the flow log columns that have any value."""
    columns = {
        name: pc.coalesce(*(_text(events, path) for path in paths))
        for name, paths in _PATHS.items()
    }
    for side in ("src", "dst"):
        hops = events.column(f"{side}_endpoint.intermediate_ips")
        end = columns[f"pkt_{side}addr"]
        first_hop = end if hops is None else to_text(_first_elements(hops))
        columns[f"{side}addr"] = pc.coalesce(first_hop, end)
    columns["flow_direction"] = pc.coalesce(
        _translate(_text(events, "connection_info.direction_id"), _DIRECTION_IDS),
        _translate(pc.utf8_lower(_text(events, "connection_info.direction")), _DIRECTIONS),
    )
    is_ingress = pc.fill_null(pc.equal(columns["flow_direction"], "ingress"), False)
    for name in _INTERFACE_FIELDS:
        source, target = (_text(events, f"{side}_endpoint.{name}_uid") for side in ("src", "dst"))
        columns[f"{name}_id"] = pc.if_else(
            is_ingress, pc.coalesce(target, source), pc.coalesce(source, target)
        )
    version = _text(events, "connection_info.protocol_ver")
    digit = pc.replace_substring_regex(version, r".*IPv([46]).*", r"\1")
    columns["type"] = pc.coalesce(
        _translate(digit, _IP_VERSIONS),
        _translate(_text(events, "connection_info.protocol_ver_id"), _IP_VERSIONS),
        version,
    )
    boundary = _text(events, "connection_info.boundary_id")
    columns["traffic_path"] = _translate(boundary, _TRAFFIC_PATHS)
    actions = (_translate(_text(events, path), words) for path, words in _ACTIONS)
    columns["action"] = pc.coalesce(*actions)
    for name in events.unmapped_names():
        if (column := name.replace("-", "_")) in FLOW_FIELDS and column not in columns:
            columns[column] = _text(events, f"unmapped.{name}")
    filled = {name: column for name, column in columns.items() if column.null_count < len(column)}
    return filled or {"start": pa.nulls(events.count, pa.int64())}


def _text(events: Events, path: str) -> pa.ChunkedArray:
    """Return the values at a path as text; times in milliseconds."""
    column = events.column(path)
    if column is None:
        return pa.chunked_array([pa.nulls(events.count, pa.string())])
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
    return to_text(column)


def _translate(column: pa.ChunkedArray, words: dict[str, str]) -> pa.ChunkedArray:
    """Replace each word by another; one that is not in ``words`` becomes null."""
    indices = pc.index_in(column, pa.array(list(words), pa.string()))
    return pc.take(pa.chunked_array([pa.array(list(words.values()), pa.string())]), indices)


def _first_elements(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the first element of each list; a column that is not of lists as it is."""
    if not pa.types.is_list(column.type):
        return column
    has_any = pc.fill_null(pc.greater(pc.list_value_length(column), 0), False)
    return pc.list_element(pc.if_else(has_any, column, pa.scalar([None], column.type)), 0)


def _is_event(value: object) -> bool:
    return isinstance(value, dict) and "class_uid" in value and "metadata" in value


class _TableEvents:
    """Events in nested columns of a table, whose fields differ by version."""

    def __init__(self, rows: pa.Table) -> None:
        self.count = rows.num_rows
        self._table = rows

    def column(self, path: str) -> pa.ChunkedArray | None:
        """Return the values at a path, or None where no event has it."""
        top, *inner = path.split(".")
        column = self._table[top] if top in self._table.column_names else None
        for name in inner:
            if column is None:
                return None
            if pa.types.is_map(column.type):
                column = pc.map_lookup(column, name, "first")
            elif pa.types.is_struct(column.type) and column.type.get_field_index(name) >= 0:
                column = pc.struct_field(column, name)
            else:
                return None
        return column

    def unmapped_names(self) -> Iterable[str]:
        """Return the names under ``unmapped``."""
        column = self.column("unmapped")
        if column is None:
            return []
        if pa.types.is_struct(column.type):
            return sorted(field.name for field in column.type)
        if not pa.types.is_map(column.type) or not pa.types.is_string(column.type.key_type):
            return []
        return sorted(
            {name for chunk in column.chunks for name in pc.unique(chunk.keys).to_pylist()}
        )


class _JsonEvents:
    """Events as objects of JSON, in which any value may be of any type."""

    def __init__(self, records: list[JsonObject]) -> None:
        self.count = len(records)
        self._objects = {"": records}  # by path

    def column(self, path: str) -> pa.ChunkedArray | None:
        """Return the values at a path, or None where no event has it."""
        parent, _, name = path.rpartition(".")
        values = [record.get(name) for record in self._objects_at(parent)]
        if name == "intermediate_ips":
            values = [value[0] if isinstance(value, list) and value else None for value in values]
        if all(value is None for value in values):
            return None
        return pa.chunked_array([to_column(values)])

    def unmapped_names(self) -> Iterable[str]:
        """Return the names under ``unmapped``."""
        return sorted({name for record in self._objects_at("unmapped") for name in record})

    def _objects_at(self, path: str) -> list[JsonObject]:
        if path not in self._objects:
            parent, _, name = path.rpartition(".")
            values = (record.get(name) for record in self._objects_at(parent))
            self._objects[path] = [value if isinstance(value, dict) else {} for value in values]
        return self._objects[path]
