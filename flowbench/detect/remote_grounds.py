"""What raises the severity of an external address's administrative sessions, ground by ground."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
from ibis import _

from flowbench.detect import remote_sources
from flowbench.detect.indicators import HIGH_RISK_KINDS
from flowbench.enrich.ports import label
from flowbench.text import escape_controls, format_count, format_period, format_utc, join_words

if TYPE_CHECKING:
    import ibis

    from flowbench.case import Case

HOURS_BEFORE = 24  # before a source's first session, in which failed logins count
HISTORY = 24  # hours that a host must have been seen before a session, for a port to be new to it

_DAY = pd.Timedelta(days=1)
_MEANING = {
    "indicator": "on an indicator list",
    "pool port": "a port that mining pools use",
    "new port": "a port that the host had not used before",
}


class Ground(NamedTuple):
    """What raises the severity of a source's sessions: its name, severity and sentence."""

    name: str
    severity: str
    sentence: str


class Evidence(NamedTuple):
    """What is known of the sources beside their sessions, by (host, peer) or by peer."""

    calls: Mapping[str, pd.DataFrame]
    indicators: Mapping[tuple[str, str], pd.DataFrame]
    failures: Mapping[tuple[str, str], int]
    contacts: Mapping[tuple[str, str], pd.DataFrame]

    def select(self, sources: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of the sources of which anything is known."""
        pairs = {*self.indicators, *self.failures, *self.contacts}
        known = [
            (host, peer) in pairs or peer in self.calls
            for host, peer in zip(sources["host"], sources["peer"], strict=True)
        ]
        return sources[known]


def first_quarter(begin: pd.Timestamp | None, end: pd.Timestamp | None) -> pd.Timestamp | None:
    """Return the end of the first quarter of a period; None if that is shorter than a day."""
    if begin is None or end is None or pd.isna(begin) or pd.isna(end) or end - begin < _DAY:
        return None
    return begin + (end - begin) / 4


def collect_evidence(
    case: Case, logins: ibis.Table, sources: pd.DataFrame, *, min_failures: int, hours_after: float
) -> Evidence:
    """Collect what other data sources record about all sources.

    Args:
        case: The case.
        logins: Connections to administration ports (admin_sessions.mark_sessions).
        sources: Rows of ``remote_sources.read_sources``, with is_regular and is_public.
        min_failures: Least connections like failed logins that count.
        hours_after: Hours after a session in which the host's new contacts count.
    """
    unusual = sources[~sources["is_regular"]]
    e = case.api_events
    events = e.aggregate(begin=_.event_time.min(), end=_.event_time.max()).to_pyarrow()
    (period,) = events.to_pylist()
    quarter = first_quarter(pd.Timestamp(period["begin"]), pd.Timestamp(period["end"]))
    return Evidence(
        calls=remote_sources.find_calls(case, unusual, quarter),
        indicators=remote_sources.find_indicators(case, sources),
        failures=remote_sources.count_failures(
            logins.filter(~logins.is_session), sources, HOURS_BEFORE, min_failures
        ),
        contacts=remote_sources.find_new_contacts(
            case,
            logins.filter(logins.is_session),
            unusual,
            hours=hours_after,
            history=HISTORY,
        ),
    )


def find_grounds(rows: pd.DataFrame, evidence: Evidence, hours_after: float) -> Iterator[Ground]:
    """Yield what raises the severity of one source.

    Args:
        rows: Its rows of ``remote_sources.read_sources``.
        evidence: What ``collect_evidence`` returned.
        hours_after: As for ``collect_evidence``.
    """
    host, peer = str(rows["host"].iloc[0]), str(rows["peer"].iloc[0])
    calls = evidence.calls.get(peer)
    if calls is not None and not calls["is_known"].any():
        yield Ground(
            "api_calls", "high" if calls["is_new"].any() else "medium", _state_calls(calls)
        )
    matches = evidence.indicators.get((host, peer))
    if matches is not None:
        kinds, feeds = (sorted(set(matches[name])) for name in ("kind", "feed"))
        yield Ground(
            "indicator",
            "high" if set(kinds) & set(HIGH_RISK_KINDS) else "medium",
            f"Indicator match: category {join_words(kinds)}, list {join_words(feeds)}.",
        )
    if failures := evidence.failures.get((host, peer)):
        yield Ground(
            "failures",
            "high",
            f"In the {HOURS_BEFORE} h before the first session, the address opened"
            f" {format_count(failures, 'connection')} that look like failed logins.",
        )
    if not rows["is_public"].all():
        yield from judge_contacts(host, evidence.contacts.get((host, peer)), hours_after)


def judge_contacts(
    host: str, contacts: pd.DataFrame | None, hours_after: float
) -> Iterator[Ground]:
    """Yield the ground that a host's new contacts after a session are, if there are any.

    Args:
        host: The host.
        contacts: As ``remote_sources.find_new_contacts`` returns them for a source.
        hours_after: As for ``collect_evidence``.
    """
    if contacts is None:
        return
    severe = contacts[contacts["ground"] != "new port"]
    stated = severe if len(severe) else contacts
    severity = "high" if len(severe) else "medium"
    yield Ground("afterwards", severity, _state_contacts(host, stated, hours_after))


def explain_contacts(
    grounds: Mapping[tuple[str, str], list[Ground]],
) -> dict[tuple[str, str], list[Ground]]:
    """Lower new contacts to medium where another source of the same host explains them better.

    That source has a ground of severity high beside the contacts: failed logins, an indicator, or
    API calls of a new address. An administrator of the same host, whose session also came before
    the contacts, is then no suspect.

    Args:
        grounds: The grounds by host and peer.
    """
    explained = {
        host
        for (host, _peer), found in grounds.items()
        if {"afterwards"} < {g.name for g in found}
        and any(g.name != "afterwards" and g.severity == "high" for g in found)
    }
    return {
        source: [ground._replace(severity="medium") for ground in found]
        if source[0] in explained and {ground.name for ground in found} == {"afterwards"}
        else found
        for source, found in grounds.items()
    }


def combine_severity(grounds: list[Ground]) -> str:
    """Return the severity of sessions with these grounds: critical for two with a high one."""
    found = {ground.severity for ground in grounds}
    if "high" in found:
        return "critical" if len(grounds) > 1 else "high"
    return "medium" if grounds else "low"


def _state_calls(calls: pd.DataFrame) -> str:
    """State who called the AWS API from an address, and when."""
    names = calls["principal_name"].fillna(calls["principal_arn"]).fillna("an unknown principal")
    callers = join_words(dict.fromkeys(map(escape_controls, names)))
    count, failed = int(calls["calls"].sum()), int(calls["failed_calls"].sum())
    period = format_period(calls["first_call"].min(), calls["last_call"].max())
    outcome = f"; {failed:,} failed or were denied" if failed else ""
    made = format_count(count, "API call")
    return f"From the same address, {callers} made {made} from {period}{outcome}."


def _state_contacts(host: str, contacts: pd.DataFrame, hours_after: float) -> str:
    """State what a host first connected to after a session."""
    described = [
        f"{row.responder} on {label(row.service_port, row.protocol)}, {_MEANING[row.ground]},"
        f" at {format_utc(row.at)}"
        for row in contacts.itertuples()
    ]
    named = join_words(described, 3, separator="; ")
    return f"Within {hours_after:g} h of a session, {host} first connected to {named}."
