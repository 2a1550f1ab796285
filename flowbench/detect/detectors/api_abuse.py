"""API abuse: which API calls does CloudTrail show that intruders make and others seldom?

Question: did a principal extend permissions, create users or credentials, switch off logging or
detection, read many secrets, share data with other accounts, destroy data, launch unusual
instances, or use a Region for the first time? CloudTrail alone answers it.

Method: a table of rules (``api_identity_rules``, ``api_logging_rules``, ``api_resource_rules``),
each with event names, a condition on the request, an ATT&CK technique, a severity and the benign
explanation. Sources: Stratus Red Team's techniques, the AWS rules of SigmaHQ, Elastic and Panther,
GuardDuty's IAM finding types. All calls of one rule by one principal are one finding; a rule that
counts asks for a number of different things (secrets, instances) within an hour. Sessions of a role
are one principal, except those of single sign-on. The first use of a Region is compared with the
baseline: the first quarter of API events that span a day or more.

Severity: the rule's. One step higher if the user or its key was created in the seven days before
the call, or if a person who called from elsewhere before calls from a network that was first used
in the account within the last day. One step lower if all calls failed, unless attempts show the
intent. Low if the same principal created a flow log within an hour of deleting one. What a
principal did on two days of the baseline is ordinary: not reported from the same network, or low if
the rule's severity is high.

False positives: infrastructure code, new colleagues and projects; each finding's caveat names the
benign explanation of its rule.

Limitations: calls that no trail records (data events, other Regions) are not seen; nor is what is
allowed by a policy that the request only names. A program that behaves like a person (an IAM user)
is taken for one. Credentials of an instance or user that are used from unexpected places are
reported by service-abuse. Calls that switch off a log are reported here; the gaps that follow in
the logs of the case are reported by blind-spot.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pandas as pd

from flowbench.detect.api_calls import name_calls, select_events
from flowbench.detect.api_matches import RuleMatch, match_rules, read_calls
from flowbench.detect.api_principals import Caller, read_principals
from flowbench.detect.api_regions import NewRegion, find_new_regions
from flowbench.detect.detector import Detector
from flowbench.detect.finding import SEVERITIES, Finding, Traffic, limit_low, make_finding
from flowbench.text import escape_controls, format_time, format_utc, is_address, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

DETECTOR = Detector(
    id="api-abuse",
    title="API abuse",
    question="Which API calls extend permissions, persist, switch off logging or take data?",
    technique="T1078.004",
    needs=frozenset(),
    tables=frozenset({"api_events"}),
)
_REGION_TECHNIQUE = "T1535"
_NAMED = 2  # API calls in a title
_BENIGN = "Possible benign explanation:"
_SCORES = {"low": 0.3, "medium": 0.6, "high": 0.9, "critical": 1.0}


def find(case: Case, *, most_low: int = 20) -> list[Finding]:
    """Return one finding per rule and principal, and one per Region that a principal used first.

    Args:
        case: The case.
        most_low: Most findings of severity low: the earliest.
    """
    principals = read_principals(case)
    calls = read_calls(case)
    findings = [_report_match(match) for match in match_rules(calls, principals)]
    findings += [_report_region(region) for region in find_new_regions(case, principals)]
    return limit_low(
        findings, most_low, lambda f: (f.first_seen, f.finding_id), "findings have this severity"
    )


def _report_match(match: RuleMatch) -> Finding:
    rule, calls = match.rule, match.calls
    names = Counter(calls["base_name"]).most_common(_NAMED)
    called = rule.subject or ", ".join(name for name, _count in names)
    concerned = f": {list_some(match.concerned)}" if match.concerned else ""
    if rule.least > 1:
        concerned += f"; up to {match.most_in_an_hour:,} of them within an hour"
    summary = f"{_state_calls(match.caller.name, calls)}{concerned}.{_state_failures(calls)}"
    if match.undone is not None:
        summary += f" The same principal called {rule.undone_by} at {format_utc(match.undone)}."
    succeeded = 1 - calls["failed"].mean()
    return _make_finding(
        match.caller.name,
        calls,
        title=f"{rule.tactic}: {called}",
        technique=rule.technique,
        severity=_adapt_severity(match),
        summary=summary + (f" {match.why_new}" if match.why_new else ""),
        caveats=f"{_BENIGN} {rule.benign}"
        + (" The principal did so on several days of the baseline." if match.is_ordinary else ""),
        scores={"succeeded": succeeded, "new_principal": float(bool(match.why_new))},
        about=f"{rule.id}|{_distinguish(match.caller)}",
    )


def _adapt_severity(match: RuleMatch) -> str:
    """Return the severity of a match: the rule's, by outcome and principal."""
    if match.is_ordinary or match.undone is not None:
        return "low"
    rank = SEVERITIES.index(match.rule.severity)
    if match.calls["failed"].all() and not match.rule.attempts_count:
        rank -= 1
    if match.why_new:
        rank += 1
    return SEVERITIES[min(max(rank, 0), SEVERITIES.index("high"))]


def _report_region(region: NewRegion) -> Finding:
    calls = region.calls
    launches = calls["event_name"].eq("RunInstances").any()
    severity = "medium" if launches or region.why_new else "low"
    since = format_utc(region.since)
    summary = (
        f"{_state_calls(region.caller.name, calls)} in {region.name}. In the first quarter of the"
        f" API events (from {since} on), the account has none in this Region."
        f"{_state_failures(calls)}"
    )
    return _make_finding(
        region.caller.name,
        calls,
        title=f"Defense evasion: first use of {region.name}",
        technique=_REGION_TECHNIQUE,
        severity=severity,
        summary=summary + (f" {region.why_new}" if region.why_new else ""),
        caveats=f"{_BENIGN} A new project, or a service that is offered in few Regions.",
        scores={"new_principal": float(bool(region.why_new))},
        about=f"region|{region.name}|{_distinguish(region.caller)}",
    )


def _distinguish(caller: Caller) -> str:
    """Return what tells principals of one name apart: the account, and whether it is a role."""
    return caller.account if caller.is_person else f"{caller.account}|role"


def _state_calls(principal: str, calls: pd.DataFrame) -> str:
    """State who called what, from where and when."""
    first, last = (format_time(calls["event_time"].agg(end)) for end in ("min", "max"))
    when = f"at {first} UTC" if first == last else f"between {first} and {last} UTC"
    sources = list_some(sorted(set(calls["source_ip"].dropna()))) or "an unknown address"
    return f"{principal} called {name_calls(calls)} from {sources} {when}"


def _state_failures(calls: pd.DataFrame) -> str:
    failed = calls[calls["failed"]]
    if failed.empty:
        return ""
    codes = list_some(sorted(set(failed["error_code"].dropna())))
    share = "All" if len(failed) == len(calls) else f"{len(failed):,} of {len(calls):,}"
    return f" {share} failed{f' ({codes})' if codes else ''}."


def _make_finding(
    subject: str,
    calls: pd.DataFrame,
    *,
    title: str,
    technique: str,
    severity: str,
    summary: str,
    caveats: str,
    scores: dict[str, float],
    about: str,
) -> Finding:
    times = calls["event_time"]
    return make_finding(
        DETECTOR,
        subject,
        [source for source in set(calls["source_ip"].dropna()) if is_address(source)],
        Traffic((), None, times.min(), times.max()),
        severity=severity,
        score=_SCORES[severity],
        scores=scores,
        summary=escape_controls(summary),
        caveats=caveats,
        title=escape_controls(title),
        technique=technique,
        about=about,
        targets=[subject],  # so that the id does not depend on the source addresses
        api_events=select_events(calls),
    )
