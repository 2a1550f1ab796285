"""Which peers of a host indicator lists name, for the detectors that weigh it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import ibis
import pandas as pd
import pyarrow as pa

from flowbench.enrich.indicators import is_answer_valid, is_in_period
from flowbench.schema import to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

# Kinds of indicators that no business host has a reason to connect to.
HIGH_RISK_KINDS = ("tor", "mining", "c2", "malware", "botnet", "ransomware", "phishing")

_COLUMNS = ["subject", "peer", "service_port", "kind", "indicator", "feed"]
_PERIODS = ["valid_from", "valid_until", "resolved_from", "resolved_until"]


def match_peers(case: Case, peers: Iterable[str]) -> pd.DataFrame:
    """Return the indicator matches of external addresses at the time of their connections.

    Columns: subject, peer, service_port, kind, indicator, feed; each combination once, in that
    order. A connection outside an indicator's validity period, or after the DNS answer that led
    from a domain to the address expired, does not count.
    """
    wanted = ibis.memtable({"peer": pa.array(sorted(set(peers)), pa.string())})
    matches = case.indicator_matches.rename(peer="address").semi_join(wanted, "peer")
    matched = matches.select("peer", "kind", "indicator", "feed", *_PERIODS).to_pyarrow()
    if not matched.num_rows:
        return pd.DataFrame(columns=_COLUMNS)
    # Without any period every connection counts, and the summaries, which are fewer, suffice.
    no_period = all(matched[name].null_count == matched.num_rows for name in _PERIODS)
    c = case.connection_summaries if no_period else case.connections
    ends = [
        c.filter(c.direction == direction).select(
            "service_port", "first_seen", "last_seen", subject=c[subject], peer=c[peer]
        )
        for direction, subject, peer in (
            ("outbound", "initiator", "responder"),
            ("inbound", "responder", "initiator"),
        )
    ]
    j = ends[0].union(ends[1]).join(ibis.memtable(matched), "peer")
    j = j.filter(is_in_period(j), is_answer_valid(j)).select(_COLUMNS).distinct()
    return to_frame(j.order_by(_COLUMNS).to_pyarrow())


def has_match(case: Case, subjects: pd.Series, peers: pd.Series) -> pd.Series:
    """Return for each pair of a host and a peer whether an indicator list names the peer."""
    matches = match_peers(case, peers)
    matched = set(matches[["subject", "peer"]].itertuples(index=False, name=None))
    pairs = zip(subjects, peers, strict=True)
    return pd.Series([pair in matched for pair in pairs], peers.index, dtype=bool)
