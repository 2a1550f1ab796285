"""The bytes that internal hosts send to external addresses, by pair, host and time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import pandas as pd
from ibis import _

from flowbench.detect.baseline import host_lifetimes
from flowbench.detect.routine_transfers import SLOT
from flowbench.detect.sharing import KEYS, baseline_ends, shared_services
from flowbench.detect.traffic import host_traffic
from flowbench.engine import epoch_seconds
from flowbench.schema import to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

ENDS = ["host", "peer"]
_DAY = 86_400


class OutboundVolumes:
    """What internal hosts exchange with external addresses, whoever opened the connection.

    Attributes:
        pairs: host, peer, sent, received (bytes), connections, opened (connections that the host
            opened), first_seen, last_seen; without shared services.
        hosts: host, born, gone, seconds (its observed lifetime), days (the same, one at least),
            total (bytes sent, to shared services too), volume (the same per day).
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        shared = shared_services(case, min_connections=1).select(KEYS)
        self._shared = shared.rename(peer="responder")
        summaries = host_traffic(case.connection_summaries)
        self._unshared = summaries.anti_join(self._shared, self._shared.columns)
        self.pairs = self._unshared.group_by(ENDS).aggregate(
            sent=_.sent.sum().cast("int64"),
            received=_.received.sum().cast("int64"),
            connections=_.connections.sum().cast("int64"),
            opened=_.connections.sum(where=_.opened).fill_null(0).cast("int64"),
            first_seen=_.first_seen.min(),
            last_seen=_.last_seen.max(),
        )
        totals = summaries.group_by("host").aggregate(total=_.sent.sum().cast("int64"))
        hosts = totals.join(host_lifetimes(case), "host")
        hosts = hosts.mutate(seconds=epoch_seconds(hosts.gone) - epoch_seconds(hosts.born))
        hosts = hosts.mutate(days=ibis.greatest(hosts.seconds / _DAY, 1.0))
        self.hosts = hosts.mutate(volume=hosts.total / hosts.days)

    def large_pairs(self, least: float, one_way: float, several: int | None) -> ibis.Table:
        """Return the one-way pairs that are large, or part of a large distributed transfer.

        Args:
            least: Bytes of a large transfer.
            one_way: Least producer-consumer ratio, -1 to 1.
            several: Hosts that make a distributed transfer; None where the logs are too short to
                show that a destination is new.

        Returns:
            The columns of ``pairs`` and, of the peer: senders (hosts that sent it a tenth of
            ``least``), early (how many of them in the first quarter of the logs) and is_new (it
            has several senders, none of them in the first quarter).
        """
        pairs = self.pairs
        exchanged, difference = pairs.sent + pairs.received, pairs.sent - pairs.received
        senders = pairs.filter(pairs.sent >= least / 10, difference >= one_way * exchanged)
        ends = baseline_ends(self._case)
        is_early = ibis.literal(False) if ends is None else senders.first_seen <= ends[0]
        peers = senders.mutate(is_early=is_early).group_by("peer")
        peers = peers.aggregate(
            senders=_.host.nunique(), early=_.host.nunique(where=_.is_early), sum=_.sent.sum()
        )
        is_new = ibis.literal(False)
        if ends is not None and several is not None:
            is_new = (peers.senders >= several) & (peers.early == 0)
        peers = peers.filter(peers["sum"] >= least).mutate(is_new=is_new).drop("sum")
        joined = senders.join(peers, "peer")
        return joined.filter((joined.sent >= least) | joined.is_new)

    def slots(self, keys: ibis.Table) -> dict[tuple[str, str], pd.DataFrame]:
        """Return the bytes of some pairs (ENDS) by time, as ``routine_transfers`` takes them."""
        transfers = host_traffic(self._case.connections).semi_join(keys, ENDS)
        transfers = transfers.anti_join(self._shared, self._shared.columns)
        slot = epoch_seconds(transfers.first_seen) // SLOT * SLOT
        slots = transfers.group_by(*ENDS, slot=slot).aggregate(sent=_.sent.sum().cast("int64"))
        rows = to_frame(slots.order_by(*ENDS, "slot").to_pyarrow())
        return {(str(host), str(peer)): pair for (host, peer), pair in rows.groupby(ENDS)}

    def services(self, keys: ibis.Table) -> pd.DataFrame:
        """Return the service_port and protocol that some pairs (ENDS) sent bytes on."""
        used = self._unshared.filter(self._unshared.sent > 0).semi_join(keys, ENDS)
        columns = [*ENDS, "service_port", "protocol"]
        return to_frame(used.select(columns).distinct().order_by(columns).to_pyarrow())
