"""Administrative sessions: connections to remote administration services that outlast a login.

A flow log does not say whether a login succeeded, but a failed one is short: its packets and its
duration have an upper limit. Sources of the limits: SSHCure (Hellemons et al., 2012; Hofstede et
al., 2014), whose measurements give SSH logins that fail 11 to 51 packets from the client, and no
login fewer than 11; sshd_config(5), by which the server closes a connection without a login after
120 seconds (LoginGraceTime; telnetd and Windows wait no longer).

What belongs to which detector is decided here: ``scan`` has connections that nobody answered or
that carried next to nothing; ``brute-force`` has many answered connections of the size of a failed
login; ``remote-access`` has sessions, which are longer or larger than any failed login.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import ibis
from ibis import _

from flowbench.engine import epoch_seconds

_TCP = 6
_SSH = 51  # SSHCure's BRUTEFORCE_MAX_PPF

# TCP port: the most packets that the client of a failed login sends. Beside SSH's these are this
# project's choice: Telnet sends typed names and passwords a character at a time; RDP without
# network level authentication, and VNC, draw their login screen.
MOST_LOGIN_PACKETS: Mapping[int, int] = {
    22: _SSH,
    2222: _SSH,
    23: 100,
    2323: 100,
    3389: 100,
    **dict.fromkeys(range(5900, 5904), 100),
    5985: _SSH,
    5986: _SSH,
}
# Bytes that no failed login has in either direction; twice what brute-force takes for an attempt.
# Not for RDP and VNC, whose login screens can be larger.
MOST_LOGIN_BYTES = 20_000
_SCREENS = (3389, *range(5900, 5904))
LEAST_LOGIN_PACKETS = 11  # each way; SSHCure's MINIMAL_SSH_AUTH_PPF
LOGIN_GRACE_TIME = 120  # seconds; OpenSSH's default

# Where the initiator is only guessed, nobody is accused of having opened the connection.
_KNOWN_INITIATOR = ("flags", "ports")


def find_sessions(connections: ibis.Table) -> ibis.Table:
    """Select the administrative sessions from external to internal addresses.

    Args:
        connections: Connections (connections.TABLE).

    Returns:
        Rows of ``connections``.
    """
    marked = mark_sessions(connections)
    return marked.filter(marked.is_session).drop("is_session")


def count_sessions(connections: ibis.Table) -> dict[str, int]:
    """Count the administrative sessions that each external address held.

    Args:
        connections: Connections (connections.TABLE).
    """
    counts = find_sessions(connections).group_by("initiator").aggregate(n=_.count())
    return {row["initiator"]: row["n"] for row in counts.to_pyarrow().to_pylist()}


def mark_sessions(
    connections: ibis.Table,
    *,
    ports: Iterable[int] = MOST_LOGIN_PACKETS,
    packet_factor: float = 1.0,
    grace_time: float = LOGIN_GRACE_TIME,
    direction: str = "inbound",
) -> ibis.Table:
    """Select the answered connections to administration ports, inbound or internal.

    The column ``is_session`` tells which of them are sessions: those with LEAST_LOGIN_PACKETS each
    way that have more packets from the client, or more bytes, than a failed login, or that
    certainly lasted longer than ``grace_time`` (counted without the first and the last window,
    which may be nearly empty).

    Args:
        connections: Connections (connections.TABLE).
        ports: Service ports; those that MOST_LOGIN_PACKETS lacks count as SSH.
        packet_factor: Factor of the limits in MOST_LOGIN_PACKETS.
        grace_time: Seconds.
        direction: Of the connections: inbound (from external addresses) or internal.
    """
    c = connections.filter(
        _.direction == direction,
        ~_.intermediate,
        _.protocol == _TCP,
        _.answered,
        _.service_port.isin(sorted(set(ports))),
        _.initiator_rule.isin(_KNOWN_INITIATOR),
    )
    limits = ibis.cases(
        *((c.service_port == port, most) for port, most in MOST_LOGIN_PACKETS.items()), else_=_SSH
    )
    seconds = epoch_seconds(c["last_seen"]) - epoch_seconds(c.first_seen)
    certain = seconds * (c.records - 4) / c.records  # a window has a record each way
    is_large = ~c.service_port.isin(_SCREENS)
    is_large &= ibis.greatest(c.bytes_out, c.bytes_in) > MOST_LOGIN_BYTES
    exceeds = (c.packets_out > limits * packet_factor) | (certain > grace_time) | is_large
    has_login = c.packets_out >= LEAST_LOGIN_PACKETS
    has_login &= c.packets_in >= LEAST_LOGIN_PACKETS
    return c.mutate(is_session=has_login & exceeds)
