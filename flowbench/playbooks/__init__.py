"""Playbooks: notebooks that answer one question for any case, and how they run.

``run`` executes one of the notebooks in notebooks/playbooks, or any notebook that has a cell with
the tag ``parameters``, and writes it with its results to one HTML file. ``require`` and ``end`` end
a playbook with a sentence where the case lacks what it needs, or has nothing to show;
``describe_missing`` states what it can do without and lacks. ``show`` makes its tables readable;
``list_records`` and ``list_facts`` make the last two: the evidence, and what to report.
"""

from flowbench.playbooks.display import ShownTable, show
from flowbench.playbooks.facts import FACTS, list_facts
from flowbench.playbooks.library import Playbook, find_playbook, list_playbooks
from flowbench.playbooks.needs import describe_missing, end, require
from flowbench.playbooks.records import list_records
from flowbench.playbooks.run import Outcome, run

__all__ = [
    "FACTS",
    "Outcome",
    "Playbook",
    "ShownTable",
    "describe_missing",
    "end",
    "find_playbook",
    "list_facts",
    "list_playbooks",
    "list_records",
    "require",
    "run",
    "show",
]
