"""What a detector declares of itself: its question, its technique and what it needs."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Detector:
    """The metadata of a detector, declared at the top of its file.

    Attributes:
        id: The name by which commands and findings refer to it.
        title: The title of its findings, unless a finding has one of its own.
        question: The question that it answers, in one sentence.
        technique: The ATT&CK technique id (v18) of its findings.
        needs: Flow log fields without which it cannot run.
        tables: Tables of the case that must not be empty.
        any_tables: Tables of which one at least must not be empty: each allows some of its checks.
    """

    id: str
    title: str
    question: str
    technique: str
    needs: frozenset[str] = field(default=frozenset({"srcaddr", "dstaddr", "start", "end"}))
    tables: frozenset[str] = frozenset()
    any_tables: frozenset[str] = frozenset()
