"""From records to connections: who talked to whom, counted once.

A flow log record is one direction at one interface in one window. A connection here is every
record between two (address, port) ends with one protocol, both directions, all windows and all
interfaces, until it is silent for longer than ``idle``.

How, and what for (the traps are those of AWS's flow log limitations page):

* The ends are the packet's own addresses (pkt-srcaddr, pkt-dstaddr) where the log has them, so that
  a client behind a NAT or transit gateway talks to its true peer.
* The same record from overlapping flow logs counts once, also when one log has fewer fields.
* Traffic between two logged interfaces is recorded at both, and twice by a middlebox: each
  direction's bytes and packets are those of the place that saw most of it, never the sum.
* The initiator is told by the first of these that says anything (benchmarks/orientation.py and
  connections.py measure how often each is wrong):
  ``flags`` (a SYN without ACK leaves it, a SYN-ACK comes back);
  ``ports`` (just one end's port is a service's, or just one is ephemeral; NFS is called from
  reserved ports);
  ``refused`` (one end only ever spoke, and was rejected);
  ``one-way`` (one end only ever spoke, and not in the middle of a TCP connection);
  ``higher-port`` (the client's, for want of better: where both are ephemeral it is a coin's toss);
  ``inside`` (of two equal ports, or none, ours asked: NTP, IKE, ping);
  ``order`` (the first record's source; at a tie the lower address, so that it is always the same).
  flow-direction names the interface's own end, not the one that opened: it tells ``inside`` only.
* Refused means that what the initiator sent was rejected and nothing was accepted in return. Where
  flags are logged, a rejected TCP packet without SYN is a straggler of a closed connection and
  refuses nothing. A security group refuses at the responder's interface only: the initiator's own
  record of the same SYN says ACCEPT.

Known limits: windows blur every time by up to a minute (ten on old instances); two connections
that re-use a source port within ``idle`` seconds count as one; without flags, a service on an
unusual port may be taken for the client, and so may the target of a scan that comes from a
service's port; two flow logs of the same interface with windows of
different length count its bytes twice.
"""

from __future__ import annotations

from flowbench.connections.build import PER_PART, pairs, write
from flowbench.connections.initiator import EPHEMERAL, SERVICE_PORTS
from flowbench.connections.tables import IDLE, PAIRS, TABLE

__all__ = ["EPHEMERAL", "IDLE", "PAIRS", "PER_PART", "SERVICE_PORTS", "TABLE", "pairs", "write"]
