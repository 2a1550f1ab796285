"""The baseline period: the part of the logs from which a detector learns what is usual."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

_DAY = 86_400


class Baseline(NamedTuple):
    """The first half of the logs, at least a day and at most a week."""

    middle: pd.Timestamp
    end: pd.Timestamp
    seconds: float  # its length
    seconds_after: float  # length of the logs after it

    @property
    def scale(self) -> float:
        """How many times longer the logs after it are than its second half.

        A host that meets new peers as part of its work meets so many times more after the baseline
        period than in its second half.
        """
        return self.seconds_after / (self.seconds / 2)


def find_baseline(begin: pd.Timestamp | None, end: pd.Timestamp | None) -> Baseline | None:
    """Return the baseline period of logs from ``begin`` to ``end``.

    None for logs of less than a day and a half: they do not show what is usual.
    """
    if begin is None or end is None or pd.isna(begin) or pd.isna(end):
        return None
    total = (end - begin).total_seconds()
    if total < 1.5 * _DAY:
        return None
    seconds = min(7 * _DAY, max(_DAY, total / 2))
    length = pd.Timedelta(seconds=seconds)
    return Baseline(begin + length - length / 2, begin + length, seconds, total - seconds)
