"""Which API calls match the rules of api-abuse, by rule and principal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from flowbench.detect.api_calls import read_events
from flowbench.detect.api_identity_rules import IDENTITY_RULES
from flowbench.detect.api_logging_rules import LOGGING_RULES
from flowbench.detect.api_principals import (
    Caller,
    Principals,
    identify,
    is_program,
    is_service_name,
    network_of,
)
from flowbench.detect.api_requests import VERSION, ApiCall
from flowbench.detect.api_resource_rules import COMPUTE_RULES, DATA_RULES
from flowbench.detect.api_rule import Rule
from flowbench.enrich.namesakes import owner_account

if TYPE_CHECKING:
    from flowbench.case import Case

RULES: tuple[Rule, ...] = (*IDENTITY_RULES, *LOGGING_RULES, *DATA_RULES, *COMPUTE_RULES)

_COLUMNS = [
    *("event_time", "event_name", "event_source", "event_id", "account_id", "principal_type"),
    *("principal_name", "access_key_id", "source_ip", "error_code", "mfa_used", "request"),
    *("target_user", "response", "evidence_id", "item"),
]
_HOUR = pd.Timedelta(hours=1)
_DAYS = 2  # days of the baseline on which a principal did the same that it does later
_GROWTH = 3  # times as many different things in an hour as in the baseline are not ordinary
_ANY = ""  # stands for every event name in the index of rules


@dataclass(frozen=True)
class RuleMatch:
    """The calls of one principal that match one rule.

    Attributes:
        rule: The rule.
        caller: The principal.
        calls: Rows of ``read_calls`` in order of time, with ``failed``.
        concerned: What the calls concern, each once.
        most_in_an_hour: The most different things concerned within an hour.
        why_new: Why the principal or its network is new; empty otherwise.
        is_ordinary: Whether it did the same regularly in the baseline.
        undone: When it made the call that shows a change (``Rule.undone_by``); None otherwise.
    """

    rule: Rule
    caller: Caller
    calls: pd.DataFrame
    concerned: list[str]
    most_in_an_hour: int
    why_new: str
    is_ordinary: bool = False
    undone: pd.Timestamp | None = None


@dataclass
class _Matched:
    """Rows that match a rule, and what each concerns."""

    rows: list[int] = field(default_factory=list)
    concerned: list[list[str]] = field(default_factory=list)
    why_new: list[str] = field(default_factory=list)


def read_calls(case: Case) -> pd.DataFrame:
    """Read the API events that a rule names, in order of time; AWS services' own are left out.

    Returns:
        Columns of ``api_events``; base_name (without a version), owner (the caller's account),
        failed, file.
    """
    e = case.api_events
    base = e.event_name.re_replace(VERSION, "")
    is_service = e.principal_type.isin(["AWSService"]).fill_null(False)
    is_service |= e.principal_arn.contains(":assumed-role/AWSServiceRoleFor").fill_null(False)
    is_wanted = (e.principal_type == "Root").fill_null(False)
    for rule in RULES:
        is_candidate = base.isin(sorted(rule.names | {rule.undone_by}))
        if rule.contains:
            is_candidate &= e.request.contains(rule.contains).fill_null(False)
        if rule.people_only:
            is_candidate &= ~is_program(e)
        is_wanted |= is_candidate
    owner = owner_account(e)
    wanted = e.filter(is_wanted, ~is_service).select(_COLUMNS, base_name=base, owner=owner)
    rows = read_events(case, wanted)
    failed_sign_in = rows["response"].str.contains('"ConsoleLogin":"Failure"', regex=False)
    failed = rows["error_code"].notna() | failed_sign_in.fillna(False).astype(bool)
    return rows.assign(failed=failed)


def match_rules(calls: pd.DataFrame, principals: Principals) -> Iterator[RuleMatch]:
    """Yield what matches each rule, by principal, without what is ordinary.

    Args:
        calls: Rows of ``read_calls``.
        principals: Who is new, and the baseline.
    """
    for (rule, caller), matched in _collect(calls, principals).items():
        yield from _judge(rule, caller, matched, calls, principals)


def _collect(calls: pd.DataFrame, principals: Principals) -> dict[tuple[Rule, Caller], _Matched]:
    by_name: dict[str, list[Rule]] = {}
    for rule in RULES:
        for name in rule.names or {_ANY}:
            by_name.setdefault(name, []).append(rule)
    own_accounts = frozenset(calls["account_id"].dropna())
    found: dict[tuple[Rule, Caller], _Matched] = {}
    for number, row in enumerate(calls.to_dict("records")):
        call = _to_call(row, own_accounts)
        rules = [*by_name.get(call.name, ()), *by_name[_ANY]]
        concerned = [(rule, rule.condition(call)) for rule in rules if _is_called(rule, call)]
        if not any(names is not None for _rule, names in concerned):
            continue
        caller = identify(_text(row["owner"]), call.principal_type, _text(row["principal_name"]))
        source = _text(row["source_ip"])
        new = principals.why_new(caller, row["event_time"], _text(row["access_key_id"]), source)
        is_person = caller.is_person and not is_service_name(source)
        for rule, names in concerned:
            is_ordinary = not new and (rule.new_only or (rule.people_only and not is_person))
            if names is not None and not is_ordinary:
                matched = found.setdefault((rule, caller), _Matched())
                matched.rows.append(number)
                matched.concerned.append(names or [f"\0{number}"])
                matched.why_new.append(new)
    return found


def _is_called(rule: Rule, call: ApiCall) -> bool:
    return rule.source in ("", call.source)


def _judge(
    rule: Rule, caller: Caller, matched: _Matched, calls: pd.DataFrame, principals: Principals
) -> Iterator[RuleMatch]:
    """Yield the match of a rule, without its ordinary calls, if enough remain."""
    rows = calls.iloc[matched.rows].assign(
        concerned=pd.Series(matched.concerned, matched.rows, dtype=object),
        why_new=pd.Series(matched.why_new, matched.rows, dtype=object),
    )
    ordinary = _is_ordinary(rows, caller, principals)
    kept = rows[~ordinary]
    if rule.least > 1 and ordinary.any() and principals.baseline_end is not None:
        early = rows["event_time"] < principals.baseline_end
        usual = _most_in_an_hour(rows[early])
        kept = rows if _most_in_an_hour(rows) > _GROWTH * usual else kept
    is_ordinary = kept.empty and rule.severity == "high"
    kept = rows if is_ordinary else kept
    most = _most_in_an_hour(kept)
    if most < rule.least:
        return
    names = dict.fromkeys(name for names in kept["concerned"] for name in names)
    reasons = [reason for reason in kept["why_new"] if reason]
    yield RuleMatch(
        rule,
        caller,
        kept,
        [name for name in names if not name.startswith("\0")],
        most,
        reasons[0] if reasons else "",
        is_ordinary,
        _find_undoing(rule, kept, calls),
    )


def _find_undoing(rule: Rule, kept: pd.DataFrame, calls: pd.DataFrame) -> pd.Timestamp | None:
    """Return when the principal called what shows a change, within an hour of every call."""
    if not rule.undone_by:
        return None
    is_same = (calls["base_name"] == rule.undone_by) & ~calls["failed"]
    is_same &= calls["principal_name"].isin(kept["principal_name"])
    times = calls.loc[is_same, "event_time"]
    near = [times[(times - time).abs() <= _HOUR] for time in kept["event_time"]]
    return near[0].iloc[0] if all(map(len, near)) else None


def _is_ordinary(rows: pd.DataFrame, caller: Caller, principals: Principals) -> pd.Series:
    """Whether each call continues what the principal did on several days of the baseline."""
    end = principals.baseline_end
    nothing = pd.Series(False, rows.index)
    if end is None:
        return nothing
    early = rows[(rows["event_time"] < end) & ~rows["failed"]]
    if early["event_time"].dt.date.nunique() < _DAYS:
        return nothing
    usual = principals.baseline_networks(caller)
    is_usual = rows["source_ip"].map(lambda source: network_of(_text(source)) in usual)
    return (is_usual.astype(bool) | (not caller.is_person)) & (rows["why_new"] == "")


def _most_in_an_hour(rows: pd.DataFrame) -> int:
    """Return the most different things that calls concern within any hour."""
    times, concerned = rows["event_time"].tolist(), rows["concerned"].tolist()
    inside: dict[str, int] = {}
    first, most = 0, 0
    for time, names in zip(times, concerned, strict=True):
        for name in names:
            inside[name] = inside.get(name, 0) + 1
        while time - times[first] > _HOUR:
            for name in concerned[first]:
                inside[name] -= 1
                if not inside[name]:
                    del inside[name]
            first += 1
        most = max(most, len(inside))
    return most


def _to_call(row: dict[str, Any], own_accounts: frozenset[str]) -> ApiCall:
    source = _text(row["event_source"]) or ""
    request = _parse(row["request"])
    if isinstance(request.get("userName"), str) and (user := _text(row["target_user"])):
        request["userName"] = user  # with its account, as the principal's name has it
    return ApiCall(
        name=row["base_name"],
        source=source.partition(".")[0],
        account=_text(row["account_id"]),
        principal=_text(row["principal_name"]) or "unknown",
        principal_type=_text(row["principal_type"]),
        is_failed=bool(row["failed"]),
        mfa_used=_text(row["mfa_used"]),
        request=request,
        own_accounts=own_accounts,
    )


def _parse(text: object) -> dict[str, Any]:
    if not isinstance(text, str):
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
