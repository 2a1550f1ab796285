"""What connections are: the two tables, and the numbers that everything here goes by."""

from __future__ import annotations

from flowbench.schema import Table

IDLE = 600  # seconds of silence after which the same ends talk anew; one window of an old instance

TABLE = Table.of(
    "connections",
    ("initiator", "string", "address that opened it"),
    ("initiator_port", "int32", "its port"),
    ("responder", "string", "address that was called"),
    ("service_port", "int32", "its port: what was asked for; 0 where there are no ports"),
    ("protocol", "int32", "IANA protocol number"),
    ("first_seen", "time", "start of the first window"),
    ("last_seen", "time", "end of the last window"),
    (
        "interface_id",
        "string",
        "where it was seen; the initiator's own interface if that is logged",
    ),
    ("bytes_out", "int64", "bytes from initiator to responder"),
    ("bytes_in", "int64", "bytes from responder to initiator"),
    ("packets_out", "int64", "packets from initiator to responder"),
    ("packets_in", "int64", "packets from responder to initiator"),
    ("records", "int64", "flow log records joined"),
    ("rejected", "bool", "the initiator was rejected and nothing was accepted in return"),
    ("refused_records", "int64", "records with REJECT, of either direction"),
    ("answered", "bool", "something from the responder was accepted"),
    ("direction", "string", "inbound, outbound, internal or external (neither end is ours)"),
    (
        "intermediate",
        "bool",
        "one end is a NAT gateway's own address: its clients have rows of their own",
    ),
    (
        "decided_by",
        "string",
        "how the initiator was told: flags, ports, refused, one-way, higher-port, inside, order",
    ),
)

PAIRS = Table.of(
    "pairs",
    ("initiator", "string", "address that opened the connections"),
    ("responder", "string", "address that was called"),
    ("service_port", "int32", "port that was asked for"),
    ("protocol", "int32", "IANA protocol number"),
    ("direction", "string", "inbound, outbound, internal or external"),
    ("intermediate", "bool", "one end is a NAT gateway's own address"),
    ("first_seen", "time", "start of the first connection"),
    ("last_seen", "time", "end of the last"),
    ("connections", "int64", "how many"),
    ("rejected", "int64", "how many of them were refused"),
    ("answered", "int64", "how many were answered"),
    ("bytes_out", "int64", "bytes from initiator to responder"),
    ("bytes_in", "int64", "bytes from responder to initiator"),
    ("packets_out", "int64", "packets from initiator to responder"),
    ("packets_in", "int64", "packets from responder to initiator"),
    ("records", "int64", "flow log records joined"),
)
