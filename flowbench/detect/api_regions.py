"""Regions that a principal was the first to use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from flowbench.detect.api_calls import read_events
from flowbench.detect.api_principals import Caller, Principals, identify
from flowbench.enrich.namesakes import owner_account

if TYPE_CHECKING:
    from flowbench.case import Case

# Services without a Region of their own, whose events name one all the same.
_GLOBAL = frozenset(
    "iam sts signin organizations cloudfront route53 support health sso identitystore account"
    " billing ce waf shield globalaccelerator networkmanager trustedadvisor importexport".split()
)
_COLUMNS = ["event_time", "event_name", "event_id", "account_id", "principal_type", "aws_region"]
_COLUMNS += ["principal_name", "access_key_id", "source_ip", "error_code", "evidence_id", "item"]


@dataclass(frozen=True)
class NewRegion:
    """Calls that change something in a Region which the account did not use before.

    Attributes:
        name: The Region.
        caller: The principal.
        calls: Its calls there that were not read-only, in order of time, with ``failed``.
        since: When the API events of the case begin.
        why_new: Why the principal or its network is new; empty otherwise.
    """

    name: str
    caller: Caller
    calls: pd.DataFrame
    since: pd.Timestamp
    why_new: str


def find_new_regions(case: Case, principals: Principals) -> Iterator[NewRegion]:
    """Yield Regions whose first event of any kind comes after the baseline, by principal.

    Args:
        case: The case.
        principals: Who is new, and the baseline; without one no Region is new.
    """
    if principals.baseline_end is None:
        return
    e = case.api_events
    service = e.event_source.re_extract(r"^([a-z0-9-]+)\.", 1)
    regional = e.filter(e.aws_region.notnull(), ~service.isin(sorted(_GLOBAL)))
    regional = regional.mutate(account_id=regional.account_id.coalesce(""))
    firsts = regional.group_by("account_id", "aws_region").aggregate(
        first=regional.event_time.min()
    )
    firsts = firsts.filter(firsts["first"] >= principals.baseline_end).drop("first")
    is_change = (~regional.read_only).fill_null(True) & (regional.principal_type != "AWSService")
    changes = regional.filter(is_change).semi_join(firsts, ["account_id", "aws_region"])
    rows = read_events(case, changes.select(_COLUMNS, owner=owner_account(changes)))
    rows = rows.assign(failed=rows["error_code"].notna())
    begin = e.event_time.min().execute()
    callers = [
        identify(*(value if isinstance(value, str) else None for value in values))
        for values in rows[["owner", "principal_type", "principal_name"]].to_numpy()
    ]
    by_caller: dict[tuple[str, Caller], list[int]] = {}
    for number, key in enumerate(zip(rows["aws_region"], callers, strict=True)):
        by_caller.setdefault(key, []).append(number)
    for (name, caller), numbers in by_caller.items():
        calls = rows.iloc[numbers]
        first = calls.iloc[0]
        why = principals.why_new(
            caller, first["event_time"], first["access_key_id"], first["source_ip"]
        )
        yield NewRegion(name, caller, calls, begin, why)
