"""Matching the facts of an answer key with rows of a timeline, whoever made it.

A fact (kind, activity, actor, object, time) is stated by a row if all four agree. Actor and object
agree by normalised value: an address, principal, instance, bucket or domain, or another name of it
that the key has; a row may name the object in its detail. API calls, GuardDuty types and domains
agree by name. The words for traffic are people's: ``KEYWORDS`` has those that an activity of the
key may be called. Times agree within ``TOLERANCE``, or within an aggregation interval if that is
longer and the fact is in flow logs alone: a record has the bounds of its capture window.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from flowbench.scenario.exercises.facts import AnswerKey, Fact

TOLERANCE = 60  # seconds
_FIRST = "first accepted connection"
KEYWORDS: Mapping[str, tuple[str, ...]] = {
    "administrative session": ("session", "remote access", "login", "logon", "ssh", "rdp"),
    "internal session": ("session", "lateral", "internal connection", "login", "ssh", _FIRST),
    "mining begins": ("mining", "crypto", "pool", "stratum", _FIRST),
    "mining ends": ("mining", "crypto", "pool", "stratum", "last connection"),
    "beaconing begins": ("beacon", "check-in", "c2", "command and control", "c&c", _FIRST),
    "beaconing ends": ("beacon", "check-in", "c2", "command and control", "c&c", "last connection"),
    "data transfer": ("data", "exfiltration", "transfer", "upload", "outbound", _FIRST),
    "scan": ("scan", "sweep", "probe", "first rejected connection"),
    "login attempts": ("brute", "login", "logon", "guess", "password"),
    "rejected attempts": ("reject", "denied", "attempt", "lateral", "scan"),
    "logging gap": ("gap", "logging", "flow log"),
}
_ENDS = ("mining ends", "beaconing ends")
_TOKEN = re.compile(r"[\w./:@+&=!-]+")
_PORT = re.compile(r"(\d+(?:\.\d+){3}):\d+")


def match_facts(key: AnswerKey, rows: pd.DataFrame) -> list[int | None]:
    """Return for each fact of a key the number of the first row that states it, or None.

    Args:
        key: The answer key.
        rows: Columns time (UTC) and actor, activity, object as text; end (UTC) and detail are used
            where they are.
    """
    stated = [_Row(row) for row in rows.to_dict("records")]
    names = Names(key.aliases)
    window = int(key.settings["window"])
    return [
        next((i for i, row in enumerate(stated) if _states(row, fact, names, window)), None)
        for fact in key.facts
    ]


class Names:
    """The other names of hosts and principals, from any of them."""

    def __init__(self, aliases: Mapping[str, Sequence[str]]) -> None:
        self._all: dict[str, frozenset[str]] = {}
        for name, others in aliases.items():
            group = frozenset(map(str.casefold, (name, *others)))
            for each in group:
                self._all[each] = self._all.get(each, frozenset()) | group

    def of(self, name: str) -> frozenset[str]:
        """Return all names of what has a name, in lower case."""
        name = name.casefold()
        return self._all.get(name, frozenset()) | {name}


def tokens(text: object) -> frozenset[str]:
    """Return the words, addresses (without port) and names in a text, in lower case."""
    if not isinstance(text, str):
        return frozenset()
    found = {word.strip(".:/") for word in _TOKEN.findall(text.casefold())}
    return frozenset(found | {match[1] for word in found if (match := _PORT.fullmatch(word))})


class _Row:
    """A row of a timeline, ready for comparison."""

    def __init__(self, row: Mapping[Any, Any]) -> None:
        self.time = _seconds(row.get("time"))
        self.end = _seconds(row.get("end"))
        activity = row.get("activity")
        self.activity = activity.casefold() if isinstance(activity, str) else ""
        self.actor, self.object = tokens(row.get("actor")), tokens(row.get("object"))
        self.detail = tokens(row.get("detail"))


def _seconds(time: Any) -> float | None:
    return None if time is None or pd.isna(time) else pd.Timestamp(time).timestamp()


def _states(row: _Row, fact: Fact, names: Names, window: int) -> bool:
    if not names.of(fact.actor) & row.actor:
        return False
    if fact.object is not None and not names.of(fact.object) & (row.object | row.detail):
        return False
    return _is_activity(row, fact) and _is_time(row, fact, window)


def _is_activity(row: _Row, fact: Fact) -> bool:
    if fact.kind == "traffic":
        return any(word in row.activity for word in KEYWORDS[fact.activity])
    if fact.kind == "dns":
        return "dns" in row.activity or "look" in row.activity or "resol" in row.activity
    name = fact.activity.casefold()
    return name in tokens(row.activity) | row.detail


def _is_time(row: _Row, fact: Fact, window: int) -> bool:
    """Whether a time of the row is the fact's; a call may also be within a row of several."""
    tolerance = max(TOLERANCE, window) if fact.kind == "traffic" else TOLERANCE
    times: Iterable[float | None] = (row.time, row.end) if fact.activity in _ENDS else (row.time,)
    if any(time is not None and abs(time - fact.time) <= tolerance for time in times):
        return True
    if fact.kind != "api" or row.time is None or row.end is None:
        return False
    return row.time - tolerance <= fact.time <= row.end + tolerance
