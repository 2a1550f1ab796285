"""A rule of the detector api-abuse: which API calls to look for, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from flowbench.detect.api_requests import Condition, anything

# Tactics of ATT&CK, as titles have them.
PERSISTENCE, ESCALATION, EVASION = "Persistence", "Privilege escalation", "Defense evasion"
CREDENTIALS, DISCOVERY, EXFILTRATION = "Credential access", "Discovery", "Exfiltration"
IMPACT, EXECUTION, MOVEMENT, ACCESS = "Impact", "Execution", "Lateral movement", "Initial access"


@dataclass(frozen=True)
class Rule:
    """One row of the table of rules.

    Attributes:
        id: Part of the finding id.
        tactic: The ATT&CK tactic, for the title.
        technique: The ATT&CK technique (v18.1).
        severity: Of calls that succeeded, by a principal that is not new.
        events: Event names without version, separated by spaces; none selects every event.
        benign: The benign explanation, as sentences for a caveat.
        condition: On the call and its request; see ``api_conditions``.
        source: The service called, where the event name alone is ambiguous.
        least: The least number of different things concerned within an hour (calls, where the
            request names none).
        people_only: Whether calls of automation (AWS services, and role sessions that a program
            named) are ordinary.
        new_only: Whether only calls of new principals, or from new networks, are reported.
        attempts_count: Whether failed calls are as severe as others: they show the intent.
        subject: What the title names in place of the API call.
        undone_by: The event name that shows a change rather than an end, where the same principal
            called it within an hour of all calls.
        contains: A text that the request of every match contains, so that the engine can leave
            other events out: some are recorded by the million.
    """

    id: str
    tactic: str
    technique: str
    severity: str
    events: str
    benign: str
    condition: Condition = anything
    source: str = ""
    least: int = 1
    people_only: bool = False
    new_only: bool = False
    attempts_count: bool = False
    subject: str = ""
    undone_by: str = ""
    contains: str = ""

    @cached_property
    def names(self) -> frozenset[str]:
        """The event names."""
        return frozenset(self.events.split())
