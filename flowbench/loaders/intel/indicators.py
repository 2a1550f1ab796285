"""The table of indicators, and the kinds of indicators that lists and feeds name."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from flowbench import schema
from flowbench.loaders.values import time

KIND = "indicators"

TABLE = schema.Table.of(
    "indicators",
    ("indicator", "string", "address, network in CIDR form, or domain in lower case"),
    ("type", "string", "address, network or domain"),
    ("kind", "string", "tor, mining, c2, scanner, malware, reputation, …; else unspecified"),
    ("feed", "string", "the list's name by itself, else its file name"),
    ("confidence", "int32", "0 to 100 as the feed gives it; null where it gives none"),
    ("valid_from", "time", "start of its validity; null when open"),
    ("valid_until", "time", "end of its validity; null when open"),
    ("port", "int32", "port for which it is listed; null for any"),
    ("description", "string", "the feed's description: malware, operator, count of lists, …"),
    *schema.ORIGIN,
)

Row = dict[str, object]  # of TABLE, without ``evidence_id``
Rejected = tuple[int, str, str]  # a line for quarantine: number, raw text, reason

UNSPECIFIED = "unspecified"
ALLOW = "allow"  # the kind of what an allow list has: it is never reported as a match

# Words that indicate a kind, specific kinds first; underscores and dashes count as spaces.
_KINDS = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"\btor\b|\btor(bulk|exit|node|relay)|\bonion|\bexits?\b|exit ?node", "tor"),
        (r"\bc2s?\b|\bcnc\b|cobalt|botnet|feodo|command and control", "c2"),
        (r"\b(crypto)?min(ers?|ing)\b|coin|\bpools?\b|stratum|cryptojack|monero|\bxmr", "mining"),
        (r"scan|probe\b|probing", "scanner"),
        (r"phish", "phishing"),
        (r"ransom|lockbit|malware|trojan|stealer|payload|threatfox|urlhaus", "malware"),
        (r"brute ?force", "brute-force"),
        (r"\bspam", "spam"),
        (r"\bprox(y|ies)\b|anonymi[sz]er|\bvpn\b", "anonymizer"),
        (r"sinkhole", "sinkhole"),
        (
            r"reputation|compromised|block ?list|black ?list|abuse|attack|\bbad\b|\bban",
            "reputation",
        ),
    )
)
LEAST_SPECIFIC = _KINDS[-1][1]
_NOT_KINDS = {
    "address",
    "network",
    "domain",
    "ip",
    "ipv4",
    "ipv6",
    "cidr",
    "hostname",
    "host",
    "url",
    "ip:port",
    "ip_dst",
    "ip_src",
    "ip:dst",
    "intel::addr",
    "intel::domain",
    "intel::subnet",
}
NO_VALUE = {"", "-", "none", "null", "n/a", "unknown"}
_ALLOW_LIST = re.compile(r"allow(ed)?([-_ ]?list(ed)?)?|white[-_ ]?list(ed)?")
_ALMOST_A_DAY = timedelta(days=1, microseconds=-1)


def find_kind(*texts: str | None) -> str | None:
    """Find the first kind that words in names, tags or comments indicate; None without any."""
    for each in texts:
        words = re.sub(r"[_\W]+", " ", (each or "").lower().replace("c&c", "c2"))
        if kind := next((kind for pattern, kind in _KINDS if pattern.search(words)), None):
            return kind
    return None


def normalize_kind(value: str | None) -> str | None:
    """Convert a kind as a list states it to a known kind, else keep the list's word."""
    stated = (value or "").strip().lower()
    if stated in NO_VALUE or stated in _NOT_KINDS:
        return None
    if _ALLOW_LIST.fullmatch(stated):
        return ALLOW
    return find_kind(stated) or re.sub(r"[_\W]+", "-", stated).strip("-")[:40] or None


def parse_end(value: object) -> datetime | None:
    """Parse the end of a validity period; a date without time means the end of that day."""
    end = time(value)
    is_date = isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value)
    return end + _ALMOST_A_DAY if end and is_date else end
