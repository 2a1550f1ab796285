"""What a playbook needs, and how it ends where there is nothing more to show."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from flowbench.errors import FlowbenchError, InputError

if TYPE_CHECKING:
    from flowbench.case import Case

SOURCES = {  # tables by which a playbook states what it needs, and what fills them
    "flows": "VPC flow logs",
    "api_events": "CloudTrail events",
    "alerts": "GuardDuty findings",
    "dns": "DNS query logs of Route 53 Resolver",
    "interfaces": "an inventory of network interfaces (describe-network-interfaces)",
    "indicators": "indicator lists",
    "flow_logs": "the settings of flow logs (describe-flow-logs)",
    "security_groups": "security groups (describe-security-groups)",
    "policy": "a segmentation policy",
}


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
    for name in tables:
        if name not in SOURCES:
            raise InputError(f"{name}: a playbook can need {', '.join(SOURCES)}")
    missing = [SOURCES[name] for name in tables if not case.has(name)]
    if missing:
        end(f"the case has no {' and no '.join(missing)}. Load them with `flowbench ingest`.")
