"""Answers to the questions of lessons: one spelling for each, and its digest.

Addresses are canonical, numbers may have separators, times are UTC, names ignore case, and sets
ignore order and repetition. A lesson has digests of answers, not the answers: they cannot be read
in passing, but whoever wants to can try all values. The digest is scrypt (RFC 7914) with lesson and
question as salt, and costs some 20 ms of CPU, so that a check is still immediate.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
import pandas as pd

from flowbench.errors import InputError
from flowbench.text import canonical_address, escape_controls

MOST_VALUES = 50  # of a set: each costs a digest
_LONGEST = 300  # characters of an answer
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:[ ,_'\u00a0\u202f]\d{3})+(?:\.\d+)?")
_PLAIN = re.compile(r"[+-]?\d{1,30}(?:\.\d{1,30})?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d[ T]\d")
_EPOCH = pd.Timestamp(0, tz="UTC")

EXPECTED: Mapping[str, str] = {  # by kind of answer, what a trainee is asked for
    "address": "an address, such as 10.0.0.5",
    "name": "a name or id as text",
    "number": "a number, such as 1234 or '1,234'",
    "time": "a time in UTC, such as '2026-09-01 12:30'",
    "choice": "one of the options",
}


def spell(kind: str, answer: Any, unit: float | None = None) -> str:
    """Return an answer in the spelling that is digested.

    Args:
        kind: One of EXPECTED.
        answer: A value of Python, NumPy or pandas, or text.
        unit: Numbers and times are rounded to it; times have seconds. None: a number is exact, a
            time has whole seconds.

    Raises:
        InputError: The answer is not of this kind.
    """
    if isinstance(answer, np.generic):
        answer = answer.item()
    if isinstance(answer, str) and len(answer) > _LONGEST:
        raise InputError(f"an answer has at most {_LONGEST} characters")
    spelled = _SPELLINGS[kind](answer)
    if spelled is None:
        shown = escape_controls(repr(answer)[:80])
        raise InputError(f"{shown} is not {EXPECTED[kind]}")
    if isinstance(spelled, str):
        return spelled
    if kind == "time" or unit is not None:
        steps = spelled / Decimal(str(unit or 1))
        return str(int(steps.to_integral_value(ROUND_HALF_UP)))
    return format(spelled.normalize(), "f")


def spell_near(kind: str, answer: Any, unit: float | None = None) -> list[str]:
    """Return the spelling of an answer, and with a unit those of one unit less and more."""
    spelled = spell(kind, answer, unit)
    if unit is None or kind not in ("number", "time"):
        return [spelled]
    return [spelled, *(str(int(spelled) + step) for step in (-1, 1))]


def to_values(answer: Any) -> list[Any]:
    """Return the values of an answer to a question for several: of a list, set, column or text.

    Text is split at commas and line ends. Mappings and tables have no values in one order: a list
    of one is returned, which is of no kind.
    """
    if isinstance(answer, str):
        return [part for part in re.split(r"[,;\n]", answer) if part.strip()]
    if isinstance(answer, Mapping | pd.DataFrame | bytes) or not isinstance(answer, Iterable):
        return [answer]
    return list(answer)


def digest(lesson: str, question: str, spelled: str) -> str:
    """Return the digest of a spelled answer, 32 hex digits."""
    salt = hashlib.sha256(f"{lesson}\0{question}".encode()).digest()
    return hashlib.scrypt(
        spelled.encode("utf-8", "replace"), salt=salt, n=2**13, r=8, p=1, dklen=16
    ).hex()


def _spell_address(answer: Any) -> str | None:
    if isinstance(answer, ipaddress.IPv4Address | ipaddress.IPv6Address):
        answer = str(answer)
    if not isinstance(answer, str):
        return None
    text = canonical_address(answer.strip().strip("\"'"))
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _spell_name(answer: Any) -> str | None:
    if not isinstance(answer, str):
        return None
    text = " ".join(answer.split()).strip("\"' ").removesuffix(".")
    return text.casefold() or None


def _spell_number(answer: Any) -> Decimal | None:
    if isinstance(answer, bool):
        return None
    if isinstance(answer, pd.Timedelta):
        answer = answer.total_seconds()
    if isinstance(answer, int | float | Decimal):
        text = format(Decimal(str(answer)), "f") if np.isfinite(float(answer)) else ""
    elif isinstance(answer, str):
        text = answer.strip()
    else:
        return None
    if _GROUPED.fullmatch(text):
        text = re.sub(r"[ ,_'\u00a0\u202f]", "", text)
    return Decimal(text) if _PLAIN.fullmatch(text) else None


def _spell_time(answer: Any) -> Decimal | None:
    if isinstance(answer, str) and not _DATE.match(answer.strip()):
        return None
    if not isinstance(answer, str | datetime | np.datetime64):
        return None
    text = answer.strip().removesuffix("UTC") if isinstance(answer, str) else answer
    try:
        time = pd.to_datetime(text, utc=True)
    except (ValueError, OverflowError, TypeError):
        return None
    if pd.isna(time):
        return None
    return Decimal(str((time - _EPOCH).total_seconds()))


_SPELLINGS: Mapping[str, Callable[[Any], str | Decimal | None]] = {
    "address": _spell_address,
    "name": _spell_name,
    "number": _spell_number,
    "time": _spell_time,
    "choice": _spell_name,
}
