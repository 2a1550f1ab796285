"""The fields of the flow log records that scenarios write, and the packets of a record."""

from __future__ import annotations

# Version 5, in the order of AWS's table.
FIELDS = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes "
    "start end action log-status vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr "
    "pkt-dstaddr region az-id sublocation-type sublocation-id pkt-src-aws-service "
    "pkt-dst-aws-service flow-direction traffic-path"
)

# How many of these fields a record of each version has.
FIELD_COUNTS = {2: 14, 3: 21, 4: 25, 5: 29}
INTERVALS = (60, 600)  # aggregation intervals, seconds


def count_packets(size: int, attempts: int, flags: int, packet_bytes: int) -> tuple[int, int]:
    """Return packets and bytes of a record, from its bytes or its attempts to connect.

    Args:
        size: Bytes; without effect if there are attempts.
        attempts: How often a first packet was sent.
        flags: TCP flags of the record.
        packet_bytes: Bytes of a packet on average.
    """
    if attempts:
        return attempts, 60 * attempts
    size = max(size, 40)  # a packet without data
    # SYN and FIN are packets without data; no packet is smaller than its headers.
    control_packets = 2 * (flags in (3, 19)) + bool(flags)
    return min(size // packet_bytes + 1 + control_packets, max(1, size // 40)), size
