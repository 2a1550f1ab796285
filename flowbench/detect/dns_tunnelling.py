"""Tunnels over DNS by the Resolver query logs: domains that receive data in the names looked up.

Method: an upper bound on the information that a client sends to a domain, as in Paxson et al.,
"Practical comprehensive bounds on surreptitious communication over DNS" (USENIX Security 2013), who
propose 4 kB a day for each client and domain as a bound that ordinary traffic rarely exceeds. It is
the compressed size of the names below a registered domain that no other client asked: data is its
sender's own, while names of sites recur. As Farnham advises ("Detecting DNS tunneling", SANS 2013),
volume for each domain decides and not a tool's signature; RITA's "exploded DNS" counts subdomains,
which counts short names of sites and misses few long ones. For the way back, the characters in
answers that are no addresses are counted, once for each name.

Names that carry no data of their client are left out: those of operators and reputation services
(enrich.domain_names), addresses in reverse as in block lists, names to which the client's search
suffix was appended, and names whose answer the client then connected to.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.enrich.domain_names import (
    OPERATOR_DOMAINS,
    REPUTATION_DOMAINS,
    is_public_name,
    registered_domain,
)
from flowbench.enrich.ownership import is_private
from flowbench.schema import to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

# Record types in which a tunnel carries its answers, and for which hosts seldom ask. iodine: NULL,
# PRIVATE (65399), TXT, SRV, MX, CNAME; dnscat2: TXT, CNAME, MX; dns2tcp: TXT, KEY.
DATA_TYPES = ("TXT", "NULL", "CNAME", "MX", "SRV", "KEY", "PRIVATE", "TYPE65399", "65399", "ANY")

# Answers have longer texts than names without being a tunnel: SPF, DKIM, chains of CNAMEs.
TEXT_FACTOR = 10

_PAIR = ["host", "domain"]
_OWN_NAME = [*_PAIR, "name"]
_ESCAPED_BYTE = re.compile(rb"\\\d{3}")  # as the Resolver logs a byte that is not printable
_REVERSED_ADDRESS = re.compile(r"^(?:(?:[0-9a-f]\.){32}|(?:\d{1,3}\.){4})")
_MOST_NAMES = 200_000  # of a client and domain that are read; more add nothing to the conclusion

_MIN_SHARING = 4  # clients, as in detect.sharing
_BASELINE_SHARE, _BASELINE_LOGS = 0.25, pd.Timedelta(days=1)
_LARGE_NETWORK, _LARGE_PART = 100, 0.5


def find_tunnels(case: Case, *, daily_bytes: int) -> pd.DataFrame:
    """Find the pairs of a client and a registered domain that may be the ends of a tunnel.

    Args:
        case: The case.
        daily_bytes: Least bytes of information in the names of a day; TEXT_FACTOR times as many
            characters in its answers that are no addresses do, too.

    Returns:
        A row for each pair, ordered by host and domain: host, domain, first_seen, last_seen,
        queries, names (distinct), name_length (mean, below the domain), data_share (of queries for
        DATA_TYPES), text (characters in answers), information and daily_text (bytes in names and
        characters in answers, of the day with most), shared (whether several hosts did so in the
        baseline period already), answers (what they all are: ``codes`` of a block list, ``private``
        addresses, or an empty text for others).
    """
    least_text = TEXT_FACTOR * daily_bytes
    known = sorted(OPERATOR_DOMAINS | REPUTATION_DOMAINS)
    with case.materialized(_own_names(dns_clients(case.dns))) as own:
        names = own.filter(own.domain != own.name, ~own.domain.isin(known))
        names = names.mutate(length=names.name.length() - names.domain.length())
        bound = names.group_by(*_PAIR).aggregate(length=_.length.sum(), text=_.text.sum())
        bound = bound.filter((bound.length >= daily_bytes) | (bound.text >= least_text))
        pairs = bound.select(_PAIR).order_by(_PAIR).to_pyarrow()
        if not pairs.num_rows:
            return pd.DataFrame()
        rows = _read_names(names, pairs)
        shared = _shared_domains(case.dns, names, pairs["domain"])
    rows = rows[~(_is_expanded(case.dns, rows) | _is_contacted(case, rows))]
    found = []
    for (host, domain), group in rows.groupby(_PAIR, sort=True):
        days = [day for _date, day in group.groupby(group["first_seen"].dt.floor("D"))]
        information = max(information_in(day["name"], str(domain)) for day in days)
        text = int(max(day["text"].sum() for day in days))
        if information >= daily_bytes or text >= least_text:
            pair = {"host": host, "domain": domain, "information": information, "daily_text": text}
            found.append(pair | _summarize(group) | {"shared": domain in shared})
    if not found:
        return pd.DataFrame()
    result = pd.DataFrame(found)
    answers = _harmless_answers(case.dns, rows.merge(result[_PAIR], on=_PAIR))
    pairs_found = zip(result["host"], result["domain"], strict=True)
    return result.assign(answers=[answers.get(pair, "") for pair in pairs_found])


def information_in(names: pd.Series, domain: str) -> int:
    """Return an upper bound on the bytes of information in distinct names below a domain.

    It is their size after compression by DEFLATE, without the domain and without an address in
    reverse at their start (RFC 5782). Counters and words compress well, encrypted data to 5 bits a
    character in base 32 and to 4 in hexadecimal digits.
    """
    labels = {_REVERSED_ADDRESS.sub("", name).removesuffix(domain).rstrip(".") for name in names}
    raw = "\n".join(sorted(labels - {""})).encode("utf-8", "replace")
    return len(zlib.compress(_ESCAPED_BYTE.sub(b"?", raw), 9)) if raw else 0


def dns_clients(dns: ibis.Table) -> ibis.Table:
    """Return the DNS queries with ``host``: the client's address, or else its instance id."""
    dns = dns.mutate(host=ibis.coalesce(dns.srcaddr, dns.instance_id))
    return dns.filter(dns.host.notnull(), dns.name.notnull())


def _own_names(dns: ibis.Table) -> ibis.Table:
    """Return the names that one client alone asked, with counts of its queries."""
    by_name = dns.filter(is_public_name(dns.name)).group_by("name").aggregate(
        host=_.host.min(),
        other=_.host.max(),
        first_seen=_.query_time.min(),
        last_seen=_.query_time.max(),
        queries=_.count(),
        data_queries=_.query_type.isin(DATA_TYPES).sum(),
        text=_.text_length.fill_null(0).max(),
    )  # fmt: skip
    by_name = by_name.filter(by_name.host == by_name.other).drop("other")
    return by_name.mutate(domain=registered_domain(by_name.name))


def _read_names(names: ibis.Table, pairs: pa.Table) -> pd.DataFrame:
    """Return the names of pairs of a client and a domain, the first _MOST_NAMES of each."""
    rows = names.semi_join(ibis.memtable(pairs), _PAIR)
    rows = rows.mutate(rank=ibis.row_number().over(group_by=_PAIR, order_by="name"))
    rows = rows.filter(rows["rank"] < _MOST_NAMES).drop("rank").order_by([*_PAIR, "name"])
    return to_frame(rows.to_pyarrow())


def _shared_domains(dns: ibis.Table, names: ibis.Table, domains: pa.ChunkedArray) -> set[str]:
    """Return the domains below which many clients ask names of their own (see detect.sharing).

    At least four did so in the first quarter of logs of a day or more; or half of at least 100.
    """
    n = names.filter(names.domain.isin(sorted(set(domains.to_pylist()))))
    period = dns.aggregate(first=_.query_time.min(), last=_.query_time.max()).to_pandas().iloc[0]
    length = period["last"] - period["first"]
    early = ibis.literal(False)
    if length >= _BASELINE_LOGS:
        early = n.first_seen <= period["first"] + length * _BASELINE_SHARE
    counts = n.group_by("domain").aggregate(
        clients=_.host.nunique(), early=n.host.nunique(where=early)
    )
    all_clients = dns_clients(dns).host.nunique().as_scalar()
    is_large = (all_clients >= _LARGE_NETWORK) & (counts.clients >= _LARGE_PART * all_clients)
    shared = counts.filter((counts.early >= _MIN_SHARING) | is_large)
    return set(shared.to_pyarrow()["domain"].to_pylist())


def _is_expanded(dns: ibis.Table, rows: pd.DataFrame) -> np.ndarray:
    """Return which names are another name that the client asked and a search suffix."""
    hosts = sorted(set(rows["host"]))
    d = dns_clients(dns)
    asked = d.filter(d.host.isin(hosts)).select("host", "name").distinct().to_pyarrow()
    pairs = set(zip(asked["host"].to_pylist(), asked["name"].to_pylist(), strict=True))
    return np.array(
        [
            any((row.host, shorter) in pairs for shorter in _without_suffix(row.name, row.domain))
            for row in rows[["host", "name", "domain"]].itertuples(index=False)
        ],
        bool,
    )


def _without_suffix(name: str, domain: str) -> Iterator[str]:
    """Yield a name without the domain, and without further labels before it, while a dot is left.

    A name of one label is no reason: every data label of a tunnel would be one.
    """
    shorter = name[: -len(domain) - 1]
    while "." in shorter:
        yield shorter
        shorter = shorter.rpartition(".")[0]


def _is_contacted(case: Case, rows: pd.DataFrame) -> np.ndarray:
    """Return for which names the client has connections to an address in their answers."""
    if not case.has("flows"):
        return np.zeros(len(rows), bool)
    wanted = ibis.memtable(pa.table({name: rows[name].tolist() for name in ("host", "name")}))
    d = dns_clients(case.dns).semi_join(wanted, ["host", "name"])
    answers = d.select("host", "name", address=d.answers.unnest()).distinct()
    c = case.connection_summaries.select(host=_.initiator, address=_.responder).distinct()
    contacted = answers.semi_join(c, ["host", "address"]).select("name").distinct()
    return rows["name"].isin(contacted.to_pyarrow()["name"].to_pylist()).to_numpy()


def _harmless_answers(dns: ibis.Table, rows: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Return what all answers to the names of a pair are, where that has a harmless reason.

    By client and domain: ``codes`` of a block list, addresses of 127.0.0.0/8 without 127.0.0.1
    (RFC 5782, section 2.1); or ``private`` addresses, as of the network's own zone. Names without
    an answer say nothing.
    """
    rows = rows[rows.groupby(_PAIR)["text"].transform("max") == 0]
    wanted = pa.table({name: pa.array(rows[name].tolist(), pa.string()) for name in _OWN_NAME})
    asked = dns.select("name", "answers").inner_join(ibis.memtable(wanted), "name")
    answers = asked.select(*_PAIR, address=asked.answers.unnest()).distinct()
    loopback = answers.address.startswith("127.")
    counts = answers.group_by(_PAIR).aggregate(
        all=_.count(),
        codes=_.count(where=loopback & (_.address != "127.0.0.1")),
        private=_.count(where=is_private(_.address) & ~loopback),
    )
    return {
        (row["host"], row["domain"]): kind
        for row in counts.to_pyarrow().to_pylist()
        for kind in ("codes", "private")
        if row[kind] == row["all"]
    }


def _summarize(names: pd.DataFrame) -> dict[str, Any]:
    queries = int(names["queries"].sum())
    return {
        "first_seen": names["first_seen"].min(),
        "last_seen": names["last_seen"].max(),
        "queries": queries,
        "names": len(names),
        "name_length": float(names["length"].mean()) - 1,  # without the dot before the domain
        "data_share": int(names["data_queries"].sum()) / queries,
        "text": int(names["text"].sum()),
    }
