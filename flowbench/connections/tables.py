"""The tables of connections and of connection summaries."""

from __future__ import annotations

from flowbench.schema import Table

IDLE_TIMEOUT = 600  # seconds; one capture window of an instance with ten-minute windows

TABLE = Table.of(
    "connections",
    ("initiator", "string", "address that opened the connection"),
    ("initiator_port", "int32", "port of the initiator"),
    ("responder", "string", "address that it was opened to"),
    ("service_port", "int32", "port of the responder; 0 where the protocol has no ports"),
    ("protocol", "int32", "IANA protocol number"),
    ("first_seen", "time", "start of the first window"),
    ("last_seen", "time", "end of the last window"),
    (
        "interface_id",
        "string",
        "where it was recorded; the initiator's interface if that is logged",
    ),
    ("bytes_out", "int64", "bytes from initiator to responder"),
    ("bytes_in", "int64", "bytes from responder to initiator"),
    ("packets_out", "int64", "packets from initiator to responder"),
    ("packets_in", "int64", "packets from responder to initiator"),
    ("records", "int64", "number of flow log records joined"),
    ("rejected", "bool", "the initiator was rejected and nothing was accepted in return"),
    ("rejected_records", "int64", "number of records with REJECT, of either direction"),
    ("answered", "bool", "a record from the responder was accepted"),
    ("syn_sent", "bool", "a SYN of the initiator was recorded; null without TCP flags"),
    ("direction", "string", "inbound, outbound, internal or external (neither end is internal)"),
    ("intermediate", "bool", "one end is a NAT gateway; its clients have rows of their own"),
    (
        "initiator_rule",
        "string",
        "the rule that chose the initiator: flags, ports, rejected, constant-port, one-way,"
        " higher-port, internal, order",
    ),
)

SUMMARIES = Table.of(
    "connection_summaries",
    ("initiator", "string", "address that opened the connections"),
    ("responder", "string", "address that they were opened to"),
    ("service_port", "int32", "port of the responder"),
    ("protocol", "int32", "IANA protocol number"),
    ("direction", "string", "inbound, outbound, internal or external"),
    ("intermediate", "bool", "one end is a NAT gateway"),
    ("first_seen", "time", "start of the first connection"),
    ("last_seen", "time", "end of the last"),
    ("connections", "int64", "number of connections"),
    ("rejected", "int64", "number of them that were rejected"),
    ("answered", "int64", "number of them that were answered"),
    ("bytes_out", "int64", "bytes from initiator to responder"),
    ("bytes_in", "int64", "bytes from responder to initiator"),
    ("packets_out", "int64", "packets from initiator to responder"),
    ("packets_in", "int64", "packets from responder to initiator"),
    ("records", "int64", "number of flow log records joined"),
)
