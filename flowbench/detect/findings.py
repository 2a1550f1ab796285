"""A sequence of findings: what ``detect.run`` returns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, overload

import pyarrow as pa

from flowbench.detect import display
from flowbench.detect.finding import (
    DECISION_COLUMNS,
    FINDINGS,
    SEVERITIES,
    Finding,
    sort_findings,
)
from flowbench.errors import InputError
from flowbench.schema import to_frame

if TYPE_CHECKING:
    import pandas as pd


class Findings(Sequence[Finding]):
    """An immutable sequence of findings, the most severe first.

    Findings that allow lists or decisions suppress are not among its items; ``suppressed`` has
    them.

    Attributes:
        kept: Whether the run that gave them is kept in the case.
        not_kept_reason: Why it is not kept; empty otherwise.
        warnings: What to know before the findings are read: sentences.
    """

    def __init__(
        self,
        findings: Iterable[Finding] = (),
        suppressed: Iterable[Finding] = (),
        *,
        kept: bool = False,
        not_kept_reason: str = "",
    ) -> None:
        self._items = tuple(sort_findings(findings))
        self._suppressed = tuple(sort_findings(suppressed))
        self.kept = kept
        self.not_kept_reason = not_kept_reason
        self.warnings: tuple[str, ...] = ()

    @classmethod
    def separate(cls, findings: Iterable[Finding]) -> Findings:
        """Return findings with those that carry ``suppressed_by`` set apart."""
        findings = list(findings)
        return cls(
            (finding for finding in findings if finding.suppressed_by is None),
            (finding for finding in findings if finding.suppressed_by is not None),
        )

    @classmethod
    def from_arrow(cls, table: pa.Table) -> Findings:
        """Return the findings of an Arrow table of FINDINGS, suppressed ones set apart.

        The columns of decisions may be missing, as they are in a kept run, which has another:
        ``peers_complete``. Without it, a finding with several peers may have more.
        """
        for name in set(DECISION_COLUMNS).difference(table.column_names):
            table = table.append_column(
                FINDINGS.arrow.field(name), pa.nulls(len(table), FINDINGS.arrow.field(name).type)
            )
        FINDINGS.check(table.column_names)
        return cls.separate(
            Finding.from_row({"peers_complete": len(row["peers"]) <= 1} | row)
            for row in table.to_pylist()
        )

    def replace(self, findings: Iterable[Finding]) -> Findings:
        """Return other findings of the same run: whether it is kept, and its warnings, stay."""
        other = Findings.separate(findings)
        other.kept, other.not_kept_reason = self.kept, self.not_kept_reason
        other.warnings = self.warnings
        return other

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> Findings: ...
    def __getitem__(self, index: int | slice) -> Finding | Findings:
        if isinstance(index, slice):
            return Findings(self._items[index])
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._items)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Findings):
            return NotImplemented
        return (self._items, self._suppressed) == (other._items, other._suppressed)

    def __hash__(self) -> int:
        return hash((self._items, self._suppressed))

    @property
    def suppressed(self) -> Findings:
        """The findings that allow lists or decisions suppress."""
        return Findings(self._suppressed)

    @property
    def all(self) -> Findings:
        """All findings, suppressed ones among the others."""
        return Findings((*self._items, *self._suppressed))

    def of(self, *detectors: str) -> Findings:
        """Return the findings of these detectors, of the same run."""
        return self.replace(finding for finding in self.all if finding.detector in detectors)

    def at_least(self, severity: str) -> Findings:
        """Return the findings of this severity or above. Raises InputError for another word."""
        if severity not in SEVERITIES:
            raise InputError(
                f"no severity is called {severity}; there are: {', '.join(SEVERITIES)}"
            )
        wanted = SEVERITIES[SEVERITIES.index(severity) :]
        return Findings(*([f for f in some if f.severity in wanted] for some in self._both()))

    def by_id(self, start: str) -> Findings:
        """Return the findings whose id begins with ``start``, suppressed ones too."""
        return Findings(f for f in self.all if f.finding_id.startswith(start))

    def to_arrow(self) -> pa.Table:
        """Return an Arrow table (FINDINGS)."""
        return FINDINGS.rows(finding.to_row() for finding in self)

    def to_pandas(self, *, flat: bool = False) -> pd.DataFrame:
        """Return a pandas frame (FINDINGS).

        ``flat`` gives columns ``score_<name>`` in place of the map ``scores``, as CSV needs them.
        """
        frame = to_frame(self.to_arrow())
        if not flat:
            return frame
        names = sorted({name for finding in self for name in finding.scores})
        parts = {f"score_{name}": [finding.scores.get(name) for finding in self] for name in names}
        return frame.drop(columns="scores").assign(**parts)

    def __repr__(self) -> str:
        return f"<{display.describe(self)}>"

    def _repr_html_(self) -> str:
        caption = " ".join(
            (display.describe(self), *(f"Warning: {text}" for text in self.warnings))
        )
        return display.findings_to_html([f.to_row() for f in self], caption)

    def _both(self) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
        return self._items, self._suppressed
