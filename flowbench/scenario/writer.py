"""Evidence as it lies in a bucket: names, layout and gzip like AWS's, the same bytes every time."""

from __future__ import annotations

import hashlib
import json
import random
import struct
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flowbench.scenario.network import ACCOUNT, REGION, identifier
from flowbench.scenario.traffic import FIELDS, Line

SLOT = 7_200  # seconds of records in a flow log file; AWS writes every five minutes


def stamp(moment: float, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    """A moment (epoch seconds) as UTC text."""
    return datetime.fromtimestamp(int(moment), UTC).strftime(form)


def pack(path: Path, text: str) -> None:
    """Write text as gzip with no time and no name in it.

    The header is written here: Python's own differs from version to version in a byte. What lies
    between it and the trailer is zlib's, and differs from one build of zlib to another.
    """
    data = text.encode()
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(data) + deflate.flush()
    header = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 2, 3))  # deflate, no flags, no time, best, Unix
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + body + struct.pack("<II", zlib.crc32(data), len(data)))


def write_json(path: Path, value: Any) -> None:  # any JSON
    """Write a JSON document, indented, with keys in the given order."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8 with the same line ends on every system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def flow_logs(root: Path, lines: Iterable[Line], seed: str) -> int:
    """Write records into the S3 layout, two hours a file, slightly out of order; how many records.

    One in 400 records comes late: in the file of a later slot.
    """
    chance = random.Random(f"{seed}/delivery")
    slots: dict[int, list[str]] = {}
    for line in sorted(lines, key=lambda line: (line.end, line.text)):
        late = SLOT if chance.random() < 0.0025 else 0
        slots.setdefault((line.end + late) // SLOT, []).append(line.text)
    flow_log = identifier("fl", "winterday")
    count = 0
    for slot, texts in sorted(slots.items()):
        for place in range(0, len(texts), 40):  # a delivery interleaves its interfaces
            part = texts[place : place + 40]
            chance.shuffle(part)
            texts[place : place + 40] = part
        count += len(texts)
        at = slot * SLOT
        digits = hashlib.sha256(f"{flow_log}{at}".encode()).hexdigest()[:8]
        name = (
            f"{ACCOUNT}_vpcflowlogs_{REGION}_{flow_log}_{stamp(at, '%Y%m%dT%H%MZ')}_{digits}.log.gz"
        )
        folder = root / f"AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/{stamp(at, '%Y/%m/%d')}"
        pack(folder / name, "\n".join([FIELDS, *texts, ""]))
    return count


def cloudtrail(root: Path, events: Iterable[dict[str, Any]]) -> None:
    """Write events into the S3 layout, six hours a file, one line of JSON each file."""
    slots: dict[str, list[dict[str, Any]]] = {}
    for event in sorted(events, key=lambda event: (event["eventTime"], event["eventID"])):
        moment = datetime.fromisoformat(event["eventTime"]).timestamp()
        slots.setdefault(stamp(moment // 21_600 * 21_600, "%Y/%m/%d|%Y%m%dT%H%MZ"), []).append(
            event
        )
    for slot, records in slots.items():
        day, at = slot.split("|")
        digits = hashlib.sha256(f"trail{slot}".encode()).hexdigest()[:16]
        folder = root / f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/{day}"
        text = json.dumps({"Records": records}, separators=(",", ":"))
        pack(folder / f"{ACCOUNT}_CloudTrail_{REGION}_{at}_{digits}.json.gz", text)


def resolver(root: Path, vpc: str, rows: Iterable[dict[str, Any]]) -> None:
    """Write a VPC's resolver query log, a day a file, one query a line."""
    days: dict[str, list[str]] = {}
    for row in sorted(
        rows, key=lambda row: (row["query_timestamp"], row["srcaddr"], row["srcport"])
    ):
        day = row["query_timestamp"][:10].replace("-", "/")
        days.setdefault(day, []).append(json.dumps(row, separators=(",", ":")))
    for day, lines in days.items():
        digits = hashlib.sha256(f"{vpc}{day}".encode()).hexdigest()[:8]
        at = day.replace("/", "") + "T0000Z"
        folder = root / f"AWSLogs/{ACCOUNT}/vpcdnsquerylogs/{vpc}/{day}"
        pack(
            folder / f"{vpc}_vpcdnsquerylogs_{ACCOUNT}_{at}_{digits}.log.gz",
            "\n".join([*lines, ""]),
        )
