"""Evidence files with the names, layout and gzip of AWS, byte for byte the same each time."""

from __future__ import annotations

import hashlib
import json
import random
import struct
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from flowbench.scenario.network import ACCOUNT, REGION, JsonObject, make_id
from flowbench.scenario.record_format import FIELD_COUNTS, FIELDS
from flowbench.scenario.traffic import Record

SLOT = 7_200  # seconds of records in a flow log file; AWS writes every five minutes


def format_time(time: float, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    """Return a time (epoch seconds) as UTC text."""
    return datetime.fromtimestamp(int(time), UTC).strftime(form)


def parse_time(text: str) -> int:
    """Return a UTC time as epoch seconds.

    Raises:
        ValueError: It is no ISO time with a zone.
    """
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return int(time.timestamp())


def write_gzip(path: Path, text: str | bytes, *, level: int = 9) -> None:
    """Write text as gzip without time and name.

    The header is written here, because Python's own differs between versions in a byte. The
    compressed content comes from zlib, and differs between its versions.
    """
    data = text.encode() if isinstance(text, str) else text
    deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(data) + deflate.flush()
    header = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 2, 3))  # deflate, no flags, no time, best, Unix
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + body + struct.pack("<II", zlib.crc32(data), len(data)))


def write_json(path: Path, value: object) -> None:
    """Write an indented JSON document, its keys in the given order."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8 with the same line ends on all systems."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def write_flow_logs(root: Path, records: Iterable[Record], seed: str, *, version: int = 5) -> int:
    """Write records of a version in the S3 layout, two hours per file and slightly out of order.

    One in 400 records is late: in the file of the next slot. Returns the number of records.
    """
    chance = random.Random(f"{seed}/delivery")
    slots: dict[int, list[str]] = {}
    for record in sorted(records, key=lambda record: (record.end, record.text)):
        late = SLOT if chance.random() < 0.0025 else 0
        slots.setdefault((record.end + late) // SLOT, []).append(record.text)
    flow_log = make_id("fl", "winterday")
    count = 0
    for slot, texts in sorted(slots.items()):
        for i in range(0, len(texts), 40):  # a delivery interleaves its interfaces
            part = texts[i : i + 40]
            chance.shuffle(part)
            texts[i : i + 40] = part
        count += len(texts)
        path = root / flow_log_path(flow_log, slot * SLOT)
        write_gzip(path, "\n".join([header(version), *texts, ""]))
    return count


def header(version: int) -> str:
    """Return the first line of flow logs of a version."""
    return " ".join(FIELDS.split(" ")[: FIELD_COUNTS[version]])


def flow_log_path(flow_log: str, at: int) -> str:
    """Return where a flow log (fl-…) has its file of a slot, below the folder of the evidence."""
    digits = hashlib.sha256(f"{flow_log}{at}".encode()).hexdigest()[:8]
    time = format_time(at, "%Y%m%dT%H%MZ")
    name = f"{ACCOUNT}_vpcflowlogs_{REGION}_{flow_log}_{time}_{digits}.log.gz"
    return f"AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/{format_time(at, '%Y/%m/%d')}/{name}"


def write_cloudtrail(root: Path, events: Iterable[JsonObject]) -> None:
    """Write events in the S3 layout, six hours per file."""
    slots: dict[str, list[JsonObject]] = {}
    for event in sorted(events, key=lambda event: (event["eventTime"], event["eventID"])):
        time = datetime.fromisoformat(event["eventTime"]).timestamp()
        slots.setdefault(format_time(time // 21_600 * 21_600, "%Y/%m/%d|%Y%m%dT%H%MZ"), []).append(
            event
        )
    for slot, records in slots.items():
        day, at = slot.split("|")
        digits = hashlib.sha256(f"trail{slot}".encode()).hexdigest()[:16]
        folder = root / f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/{day}"
        text = json.dumps({"Records": records}, separators=(",", ":"))
        write_gzip(folder / f"{ACCOUNT}_CloudTrail_{REGION}_{at}_{digits}.json.gz", text)


def write_resolver_logs(root: Path, vpc: str, rows: Iterable[JsonObject]) -> None:
    """Write a VPC's Resolver query log, a day per file."""
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
        write_gzip(
            folder / f"{vpc}_vpcdnsquerylogs_{ACCOUNT}_{at}_{digits}.log.gz",
            "\n".join([*lines, ""]),
        )
