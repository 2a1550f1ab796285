"""Flow log records to connections: both directions and all windows joined, each byte counted once.

A flow log record is one direction at one interface in one capture window. A connection is every
record between two (address, port) ends with one protocol, both directions, all windows and all
interfaces, until no record follows for longer than an idle timeout or a SYN follows the end of the
connection (sessions.py).

Method (the cases are those of AWS's flow log limitations page):

* The ends are the packet's own addresses (pkt-srcaddr, pkt-dstaddr) where the log has them, so that
  a client of a NAT or transit gateway has its true peer.
* An address that is assigned to hosts of several VPCs or accounts has a zone (zones).
* The same record from overlapping flow logs counts once, also when one log has fewer fields.
* Traffic between two logged interfaces is recorded at both, and twice by a middlebox: bytes and
  packets of a direction are those of the observation point that recorded most, never the sum.
* The first of these rules that applies decides who the initiator is (benchmarks/orientation.py and
  connections.py measure how often each is wrong):
  ``flags`` (it sent a SYN without ACK, or was sent a SYN-ACK);
  ``ports`` (only the other end's port is a service's, or only its own is ephemeral; NFS clients
  use reserved ports);
  ``rejected`` (only it sent packets, and they were rejected);
  ``constant-port`` (the other end's port stays the same while its own changes, over several
  connections of the two hosts: service_ports.py);
  ``one-way`` (only it sent packets, and not in the middle of a TCP connection);
  ``higher-port`` (its port is higher; where both are ephemeral that is right half of the time);
  ``internal`` (the ports are equal or absent, and only it is internal: NTP, IKE, ping);
  ``order`` (it sent the first record; if both did, the lower address, so that it is repeatable).
  flow-direction is relative to the interface, not to the initiator: it serves ``internal`` only.
* Rejected means that what the initiator sent was rejected and nothing was accepted in return. Where
  flags are logged, a rejected TCP packet without SYN is a late packet of a closed connection and
  does not count. A security group rejects at the responder's interface only: the record of the
  same SYN at the initiator's interface has ACCEPT.

Known limits: start and end of a window differ from those of the packets by up to a minute (ten on
instances that are not Nitro); without flags, two connections that use the same source port within
the idle timeout count as one, a service on an unusual port with few connections may be taken for
the client, and so may the target of a scan from a service's port; bytes count twice where two flow
logs of an interface have windows of different length.
"""

from __future__ import annotations

from flowbench.connections.build import (
    RECORDS_PER_FILE,
    build_connections,
    summarize_connections,
)
from flowbench.connections.extension import Before
from flowbench.connections.initiator import EPHEMERAL, SERVICE_PORTS
from flowbench.connections.tables import IDLE_TIMEOUT, SUMMARIES, TABLE

__all__ = [
    "EPHEMERAL",
    "IDLE_TIMEOUT",
    "RECORDS_PER_FILE",
    "SERVICE_PORTS",
    "SUMMARIES",
    "TABLE",
    "Before",
    "build_connections",
    "summarize_connections",
]
