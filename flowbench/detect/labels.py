"""Labelled pairs of addresses, with which the detectors are evaluated.

A label names two ends, not which of them opened a connection, since the person who labels often
guesses that: a pair counts in either direction. An empty ``dst`` stands for every other end of
``src``.
"""

from __future__ import annotations

import csv
import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from flowbench.errors import InputError

LABELS = ("malicious", "benign", "background", "unknown")
Pair = tuple[str, str]  # two addresses in the order of their text; ('', a) is every pair of a

# Kinds of labels that a detector is made for, besides its own id and those that begin with it
# (scan-inbound).
DETECTOR_KINDS = {
    "beacon": ("c2-beacon", "c2", "beaconing", "campaign"),
    "brute-force": ("login-brute-force",),
    "contact": ("c2", "tor"),
    "dns": ("dga", "dns-exfiltration"),
    "exfiltration": ("data-exfiltration",),
    "mining": ("web-mining", "crypto-mining"),
    "scan": ("port-scan", "icmp-sweep", "host-sweep", "udp-scan", "inbound-attack"),
}
ANY = "any"  # in place of a detector's id: all of them together

_COLUMNS = ("src", "dst", "label", "kind")


@dataclass
class Labels:
    """For each label but unknown, the pairs of each kind.

    A pair that is malicious in one row and something else in another is malicious; one that is
    benign and background is benign.
    """

    kinds: dict[str, dict[str, set[Pair]]] = field(
        default_factory=lambda: {label: {} for label in LABELS if label != "unknown"}
    )

    def pairs(self, label: str) -> set[Pair]:
        """Return all pairs of a label."""
        return set().union(*self.kinds[label].values())

    def count(self) -> int:
        """Return the number of labelled pairs."""
        return len(set().union(*map(self.pairs, self.kinds)))

    def keep(self, pairs: set[Pair]) -> Labels:
        """Return the labels of these pairs only; kinds without a pair are left out."""
        kinds = {
            label: {kind: kept for kind, own in by_kind.items() if (kept := own & pairs)}
            for label, by_kind in self.kinds.items()
        }
        return Labels(kinds)


def is_own_kind(detector: str, kind: str) -> bool:
    """Whether a detector is made for a kind of label; every kind is one of ANY's."""
    return (
        detector in (ANY, kind)
        or kind in DETECTOR_KINDS.get(detector, ())
        or kind.startswith(f"{detector}-")
    )


def read_labels(path: str | Path) -> Labels:
    """Read labels from a CSV file with the columns src, dst, label and kind.

    ``src`` and ``dst`` are addresses; an empty ``dst`` is any. ``label`` is one of LABELS. A row
    without a kind has its label for kind. Other columns are ignored. Raises InputError with file,
    line and remedy.
    """
    path = Path(path)
    labels = Labels()
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            for number, row in _rows(path, lines):
                label = row["label"].strip().lower()
                if label not in LABELS:
                    raise InputError(
                        f"{path} line {number}: label {row['label']!r} is none of"
                        f" {', '.join(LABELS)}: write one of them"
                    )
                pair = _pair(path, number, row["src"].strip(), row["dst"].strip())
                if label != "unknown":
                    kinds = labels.kinds[label]
                    kinds.setdefault(row["kind"].strip() or label, set()).add(pair)
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text: save the labels as CSV in UTF-8") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}: name a CSV file") from None
    known = labels.pairs("malicious")
    for label in ("benign", "background"):
        for pairs in labels.kinds[label].values():
            pairs.difference_update(known)
        known |= labels.pairs(label)
    if not known:
        raise InputError(
            f"{path} labels no pair malicious, benign or background: label at least one"
        )
    return labels


def _rows(path: Path, lines: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(lines, strict=True)
    try:
        header = [(name or "").strip() for name in reader.fieldnames or ()]
        if missing := [name for name in _COLUMNS if name not in header]:
            raise InputError(
                f"{path} line 1: no column {', '.join(missing)}: the first line must name the"
                f" columns {', '.join(_COLUMNS)}"
            )
        reader.fieldnames = header
        for row in reader:
            if short := [name for name in _COLUMNS if row[name] is None]:
                raise InputError(
                    f"{path} line {reader.line_num}: nothing in column {', '.join(short)}: a row"
                    " has as many fields as the first line; leave one empty with its comma"
                )
            yield reader.line_num, row
    except csv.Error as error:
        raise InputError(
            f"{path} line {reader.reader.line_num}: {error}: correct the CSV"
        ) from None


def _pair(path: Path, number: int, src: str, dst: str) -> Pair:
    ends = []
    for name, text in (("src", src), ("dst", dst)):
        address = "" if name == "dst" and not text else _canonical(text)
        if address is None:
            remedy = "write an IPv4 or IPv6 address" + (", or leave it empty" * (name == "dst"))
            raise InputError(f"{path} line {number}: {name} {text!r} is no address: {remedy}")
        ends.append(address)
    return min(ends), max(ends)


@lru_cache(maxsize=100_000)
def _canonical(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
