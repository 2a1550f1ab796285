"""What a playbook needs, and how it ends where there is nothing more to show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from flowbench.errors import FlowbenchError, InputError
from flowbench.text import escape_controls, format_count, join_words, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

SOURCES = {  # tables by which a playbook states what it needs, and what fills them
    "flows": "VPC flow logs",
    "api_events": "CloudTrail events",
    "alerts": "GuardDuty findings",
    "dns": "DNS query logs of Route 53 Resolver",
    "interfaces": "inventory of network interfaces (describe-network-interfaces)",
    "indicators": "indicator lists",
    "flow_logs": "settings of flow logs (describe-flow-logs)",
    "security_groups": "rules of security groups (describe-security-groups)",
    "network_acls": "network ACLs (describe-network-acls)",
    "route_tables": "route tables (describe-route-tables)",
    "geography": "database of countries",
}


_MOST_FILES = 5  # that are named


class EndOfPlaybook(FlowbenchError):
    """A playbook has nothing more to show; notebooks show the reason, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"This playbook ends here: {self}"]


def end(reason: str) -> NoReturn:
    """End a playbook, which is not an error.

    Args:
        reason: A sentence: what there is nothing more to show of, and why.

    Raises:
        EndOfPlaybook: Always.
    """
    raise EndOfPlaybook(reason)


def require(case: Case, *tables: str) -> None:
    """End a playbook where a case has no rows in a table that it needs.

    Args:
        case: The case.
        tables: Names of SOURCES.

    Raises:
        EndOfPlaybook: A table is empty; the reason says what to load.
        InputError: A name is not in SOURCES.
    """
    missing = _missing(case, tables)
    if missing:
        reason = f"the case has no {' and no '.join(missing)}. Load them with `flowbench ingest`."
        files = case.evidence
        unknown = sorted(files.loc[files["kind"] == "unknown", "file"])
        if unknown:
            names = escape_controls(list_some(unknown, _MOST_FILES))
            count = format_count(len(unknown), "file was", "files were")
            reason += f" {count} not recognised, which case.quarantine explains: {names}."
        end(reason)


def describe_missing(case: Case, *tables: str) -> str:
    """Return what a case lacks of the evidence that helps a playbook, and what follows from it.

    Args:
        case: The case.
        tables: Names of SOURCES that the playbook can do without.

    Raises:
        InputError: A name is not in SOURCES.
    """
    missing = _missing(case, tables)
    if not missing:
        return "The case has every kind of evidence that this playbook uses."
    return (
        f"Not in the case: {join_words(missing, len(SOURCES))}. What rests on it stays empty below."
    )


def _missing(case: Case, tables: Sequence[str]) -> list[str]:
    """Name the tables that have no rows in a case; raise InputError for an unknown name."""
    for name in tables:
        if name not in SOURCES:
            raise InputError(f"{name}: a playbook can need {', '.join(SOURCES)}")
    return [SOURCES[name] for name in tables if not case.has(name)]
