"""The fields of filter expressions: their names, kinds of value, operators and meanings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from flowbench.enrich import ports
from flowbench.investigate.where import values
from flowbench.investigate.where.values import Value

TAG = "tag:"
SIDES = ("src", "dst")

_EQUALITY = ("=", "!=", "in", "not in")
_ORDER = ("<", "<=", ">", ">=")


@dataclass(frozen=True)
class Kind:
    """A kind of value.

    Attributes:
        noun: Its name.
        read: Reads a value; see values.
        operators: The operators that it has.
        examples: Typical values, for completion.
        stands_alone: Whether the field alone is a condition.
        write: Writes a value as ``read`` reads it.
    """

    noun: str
    read: Callable[[str], Value]
    operators: tuple[str, ...] = _EQUALITY
    examples: tuple[str, ...] = ()
    stands_alone: bool = False
    write: Callable[[Value], str] = values.format_value


_DIRECTIONS = ("inbound", "outbound", "internal", "external")
_SERVICES = tuple(sorted(ports.service_names()))
ADDRESS = Kind("address", values.read_address)
PORT = Kind("port", values.read_port, _EQUALITY + _ORDER)
PROTOCOL = Kind(
    "protocol",
    values.read_protocol,
    examples=tuple(ports.PROTOCOLS.values()),
    write=values.format_protocol,
)
SERVICE = Kind(
    "service",
    values.choice({name: name for name in _SERVICES}, "the usual name of a port's service"),
    examples=_SERVICES,
)
ACTION = Kind(
    "action",
    values.choice({"accept": "ACCEPT", "reject": "REJECT"}, "accept or reject"),
    examples=("accept", "reject"),
)
DIRECTION = Kind(
    "direction",
    values.choice({name: name for name in _DIRECTIONS}, ", ".join(_DIRECTIONS)),
    examples=_DIRECTIONS,
)
BOOL = Kind("condition", values.read_bool, ("=", "!="), ("yes", "no"), stands_alone=True)
SIZE = Kind("size", values.read_size, _EQUALITY + _ORDER)
COUNT = Kind("number", values.read_count, _EQUALITY + _ORDER)
DURATION = Kind("duration", values.read_duration, _EQUALITY + _ORDER)
TIME = Kind("time", values.read_time, _EQUALITY + _ORDER)
TEXT = Kind("text", values.read_text, (*_EQUALITY, "~"), stands_alone=True)
COUNTRY = Kind("country", values.read_country, stands_alone=True)


@dataclass(frozen=True)
class Field:
    """A field: what it means, and for which rows.

    Attributes:
        name: Its name; of a tag, with the tag's key; with ``src.`` or ``dst.`` for one end.
        kind: The kind of its values.
        meaning: What it is.
        is_of_end: Whether each end has it; without a side, one end with it is enough.
        is_of_record: Whether flow records have it; connections have all fields.
        side: The end that is meant; None for either.
        key: The key of a tag.
    """

    name: str
    kind: Kind
    meaning: str
    is_of_end: bool = False
    is_of_record: bool = True
    side: str | None = None
    key: str | None = None

    @property
    def base(self) -> str:
        """The name without side and key."""
        return self.name.removeprefix(f"{self.side}.") if self.key is None else TAG


def _of_connections(name: str, kind: Kind, meaning: str) -> Field:
    return Field(name, kind, meaning, is_of_record=False)


def _of_end(name: str, kind: Kind, meaning: str) -> Field:
    return Field(name, kind, meaning, is_of_end=True)


_ALL = (
    Field("src", ADDRESS, "the initiator of a connection, the source of a record"),
    Field("dst", ADDRESS, "the responder of a connection, the destination of a record"),
    Field("ip", ADDRESS, "either address"),
    Field("sport", PORT, "the initiator's port, the source port"),
    Field("dport", PORT, "the service port, the destination port"),
    Field("port", PORT, "the service port of a connection; of a record, either port"),
    Field("service", SERVICE, "the usual service of the dport: ssh, https, …"),
    Field("proto", PROTOCOL, "the protocol: tcp, udp, icmp, icmpv6 or its number"),
    Field("action", ACTION, "accept or reject"),
    Field("rejected", BOOL, "whether it was rejected"),
    _of_connections("answered", BOOL, "whether the responder answered"),
    _of_connections("intermediate", BOOL, "whether one end is a NAT gateway"),
    _of_connections("direction", DIRECTION, "inbound, outbound, internal or external"),
    Field("bytes", SIZE, "bytes, of a connection in both directions"),
    _of_connections("bytes_out", SIZE, "bytes from the initiator"),
    _of_connections("bytes_in", SIZE, "bytes from the responder"),
    Field("packets", COUNT, "packets, of a connection in both directions"),
    _of_connections("packets_out", COUNT, "packets from the initiator"),
    _of_connections("packets_in", COUNT, "packets from the responder"),
    _of_connections("records", COUNT, "number of flow log records joined"),
    Field("duration", DURATION, "time from start to end"),
    Field("time", TIME, "the period from start to end, which overlaps the time"),
    Field("start", TIME, "when it started"),
    Field("end", TIME, "when it ended"),
    Field("interface", TEXT, "the interface that recorded it; with src. or dst., the end's"),
    _of_end("instance", TEXT, "the instance of an end"),
    _of_end("name", TEXT, "the Name tag of an end"),
    _of_end("subnet", TEXT, "the subnet of an end"),
    _of_end("vpc", TEXT, "the VPC of an end"),
    _of_end("account", TEXT, "the account that owns an end's interface"),
    _of_end("aws_service", TEXT, "the AWS service of an end's interface: ec2, rds, …"),
    _of_end("internal", BOOL, "whether an end is in the monitored network"),
    _of_end("country", COUNTRY, "the country of an end's network"),
    _of_end("owner", TEXT, "the network owner of an end"),
    _of_end("cloud", TEXT, "the cloud of an end: aws, google, …"),
    _of_end("cloud_service", TEXT, "the cloud service of an end: S3, EC2, …"),
    _of_end("domain", TEXT, "a name, or the domain of one, that DNS answered with an end"),
    _of_end("indicator", TEXT, "the kind of an indicator that covers an end: mining, tor, …"),
)
FIELDS: Mapping[str, Field] = {field.name: field for field in _ALL}
_TAG_FIELD = _of_end(TAG, TEXT, "the value of a tag of an end: tag:env")


def find_field(name: str) -> Field:
    """Return the field of a name, with its side and key.

    Raises:
        ValueError: There is none; the text names the nearest.
    """
    side, dot, rest = name.partition(".")
    base = rest if dot and side in SIDES else name
    found = FIELDS.get(base)
    if base.startswith(TAG):
        if base == TAG:
            raise ValueError("the key of the tag is missing: write tag:env")
        found = replace(_TAG_FIELD, key=base.removeprefix(TAG))
    if found is None:
        shown = f"{name!r} is not a field"
        raise ValueError(shown + values.suggest(base.casefold(), [*FIELDS, TAG]))
    if base == name:
        return replace(found, name=name)
    if not found.is_of_end and base != "interface":
        raise ValueError(f"{base} has no side: write it without {side}.")
    return replace(found, name=name, side=side, is_of_end=True)


def field_names() -> list[str]:
    """Return the names of all fields, in the order of the documentation."""
    return [*FIELDS, TAG]
