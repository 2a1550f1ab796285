"""Damaged flow logs of twelve forms: no traceback, no lost line, the same result twice.

    python benchmarks/fuzz.py [--lines 1000000] [--seed 1]

Files of each form are made and damaged at random places: bytes are changed, inserted and removed,
lines are cut, doubled, and filled with impossible values. Each is read twice. Printed for each
form: lines, records, entries in quarantine, and what went wrong. Exit code 1 if anything did.

Each line must be a record or an entry of its own. In JSON with objects in objects the rest of a
damaged line may look like another value, and adds an entry.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flowbench.loaders import dispatch
from flowbench.schema import DEFAULT_FORMAT, FLOW_FIELDS, TRANSIT_GATEWAY_FORMAT, VPC_FIELDS

START = 1_788_220_800  # 2026-09-01 00:00 UTC
LINES_PER_FILE = 500
ODD_BYTES = (b"\r", b"\0", b'"', b"'", b",", b"\t", b" ", b"{", b"}", b"[", b"\xff", b"\\", b"\xef")
ODD_VALUES = (
    *("9223372036854775807", "99999999999999999999", "-1", "0", "253402300799999", "", "-", "None"),
    *("1e9", "::ffff:10.0.0.1", "2001:DB8::1", "x" * 200, "\u202e", "NaN", "10.0.0.256", "\u2028"),
)

Record = dict[str, str]


def columns(version: int) -> tuple[str, ...]:
    """Return the fields up to a version of the format."""
    return tuple(n for n, f in VPC_FIELDS.items() if f.version is not None and f.version <= version)


def make_record(chooser: random.Random, names: tuple[str, ...]) -> Record:
    """Return a plausible record; now and then with an impossible value."""
    start = START + chooser.randrange(86_400)
    known = {
        "version": "2",
        "srcport": str(chooser.randrange(65_536)),
        "dstport": "443",
        "srcaddr": f"10.0.0.{chooser.randrange(256)}",
        "dstaddr": "198.51.100.7",
        "protocol": "6",
        "packets": "10",
        "bytes": str(chooser.randrange(10**6)),
        "start": str(start),
        "end": str(start + 59),
        "action": "ACCEPT",
        "log_status": "OK",
        "account_id": "123456789012",
        "interface_id": "eni-0a",
        "pkt_srcaddr": "10.0.0.9",
        "pkt_dstaddr": "2001:db8::9",
        "type": "IPv4",
        "resource_type": "TransitGateway",
    }
    record = {
        name: known.get(name, "1" if FLOW_FIELDS[name].type != "string" else "word")
        for name in names
    }
    if chooser.random() < 0.05:
        record[chooser.choice(names)] = chooser.choice(ODD_VALUES)
    return record


def damage(chooser: random.Random, line: bytes) -> bytes:
    """Return a line with a random fault; line ends are not added or removed."""
    kind, place = chooser.randrange(5), chooser.randrange(len(line) + 1)
    if kind == 0:
        changed = line[:place] + chooser.choice(ODD_BYTES) + line[place:]
    elif kind == 1:
        changed = line[:place] + line[place + chooser.randrange(1, 9) :]
    elif kind == 2:
        changed = line[:place] + bytes([chooser.randrange(256)]) + line[place + 1 :]
    elif kind == 3:
        changed = line[:place]
    else:
        changed = line + line[place:]
    changed = changed.replace(b"\n", b"?")
    return changed if changed.strip(b" \t\r,") else b"x"


# ---- forms ------------------------------------------------------------------------------


def as_text(
    names: tuple[str, ...], *, header: bool = True
) -> Callable[[list[Record]], list[bytes]]:
    """Return a writer of flow log text."""

    def write(records: list[Record]) -> list[bytes]:
        lines = [" ".join(word or "-" for word in record.values()).encode() for record in records]
        first = " ".join(FLOW_FIELDS[name].aws_name for name in names).encode()
        return [first, *lines] if header else lines

    return write


def as_csv(names: dict[str, str], quote: str) -> Callable[[list[Record]], list[bytes]]:
    """Return a writer of a table whose columns have other names."""

    def row(words: list[str]) -> bytes:
        return ",".join(f"{quote}{word}{quote}" for word in words).encode()

    def write(records: list[Record]) -> list[bytes]:
        rows = [row([record[name] for name in names]) for record in records]
        return [row(list(names.values())), *rows]

    return write


def to_message(record: Record) -> str:
    """Return a record as a line of text."""
    return " ".join(word or "-" for word in record.values())


def as_json_lines(record: Record) -> object:
    """Return a record as an object of its fields."""
    return record


def as_ocsf(record: Record) -> object:
    """Return a record as an OCSF event, as Security Lake writes it."""
    source, target = (
        {"ip": record[f"{e}addr"], "port": record[f"{e}port"]} for e in ("src", "dst")
    )
    return {
        "class_uid": 4001,
        "metadata": {"product": {"name": "Amazon VPC", "version": "5"}},
        "src_endpoint": source,
        "dst_endpoint": target,
        "activity_id": 1,
        "status_code": "OK",
        "start_time": f"{record['start']}000",
        "end_time": f"{record['end']}000",
        "traffic": {"bytes": record["bytes"], "packets": record["packets"]},
    }


def as_event(record: Record) -> object:
    """Return a record as a CloudWatch Logs event."""
    return {"timestamp": START * 1000, "message": to_message(record)}


def as_delivery(record: Record) -> object:
    """Return a record as what a subscription sends to Firehose."""
    return {"messageType": "DATA_MESSAGE", "logGroup": "x", "logEvents": [as_event(record)]}


def by_line(to_value: Callable[[Record], object]) -> Callable[[list[Record]], list[bytes]]:
    """Return a writer of one JSON value a line."""
    return lambda records: [json.dumps(to_value(record)).encode() for record in records]


NESTED = ("CloudWatch JSON", "Firehose", "OCSF JSON", "JSON lines")
INSIGHTS = {
    "srcaddr": "srcAddr",
    "dstaddr": "dstAddr",
    "srcport": "srcPort",
    "dstport": "dstPort",
    "protocol": "protocol",
    "bytes": "bytes",
    "start": "start",
    "end": "end",
    "action": "action",
}
V2, V5 = DEFAULT_FORMAT, columns(5)
FORMS: dict[str, tuple[tuple[str, ...], Callable[[list[Record]], list[bytes]]]] = {
    "v2 with header": (V2, as_text(V2)),
    "v2 without header": (V2, as_text(V2, header=False)),
    "v5": (V5, as_text(V5)),
    "v10": (columns(10), as_text(columns(10))),
    "transit gateway": (TRANSIT_GATEWAY_FORMAT, as_text(TRANSIT_GATEWAY_FORMAT)),
    "CloudWatch JSON": (V2, by_line(as_event)),
    "Insights CSV": (V2, as_csv(INSIGHTS, "")),
    "Firehose": (V2, by_line(as_delivery)),
    "Athena CSV": (V2, as_csv({name: name for name in V2}, '"')),
    "OCSF JSON": (V2, by_line(as_ocsf)),
    "JSON lines": (V2, by_line(as_json_lines)),
}


def make_text(chooser: random.Random, form: str, lines: int) -> tuple[bytes, int]:
    """Return a damaged file of a form, and how many lines must be accounted for."""
    names, write = FORMS[form]
    written = write([make_record(chooser, names) for _ in range(lines)])
    has_header = len(written) > lines
    kept = 3 if not has_header else 1  # the kind of a file is recognised by its first lines
    for index in range(kept, len(written)):
        if chooser.random() < 0.1:
            written[index] = damage(chooser, written[index])
    return chooser.choice([b"\n", b"\r\n"]).join(written) + b"\n", len(written) - has_header


def make_parquet(chooser: random.Random, rows: int) -> tuple[bytes, int]:
    """Return a Parquet file with impossible values, now and then damaged, and its rows."""
    records = [make_record(chooser, V2) for _ in range(rows)]
    table: dict[str, pa.Array] = {name: pa.array([r[name] for r in records]) for name in V2}
    unit, scale = chooser.choice([("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
    numbers = [chooser.choice([START * scale, START * scale, 2**62, -1, 0]) for _ in records]
    table["start"] = pa.array(numbers, pa.int64()).cast(pa.timestamp(unit))
    buffer = io.BytesIO()
    pq.write_table(pa.table(table), buffer)
    return buffer.getvalue(), rows


# ---- reading ----------------------------------------------------------------------------


def read(path: Path) -> tuple[set[int], int, int, list[str], str]:
    """Return the lines and records of a file, its entries in quarantine, bugs, and a digest."""
    lines, records, entries, bugs, shown = list[int](), 0, 0, list[str](), list[str]()
    for name, rows in dispatch.read(dispatch.Evidence.of(path, path.name)):
        lines += [line for line in rows["line"].to_pylist() if line is not None]
        shown.append(str(rows.to_pydict()))
        if name == "quarantine":
            entries += rows.num_rows
            bugs += [reason for reason in rows["reason"].to_pylist() if "please report" in reason]
        else:
            records += rows.num_rows
    return set(lines), records, entries, bugs, "".join(shown)


def try_form(form: str, lines: int, seed: int, folder: Path) -> tuple[int, int, int, list[str]]:
    """Read damaged files of a form; return lines, records, entries in quarantine, and problems."""
    chooser = random.Random(f"{seed} {form}")
    total = total_records = total_entries = 0
    problems: list[str] = []
    while total < lines:
        count = min(LINES_PER_FILE, lines - total)
        is_parquet = form == "Parquet"
        data, count = (
            make_parquet(chooser, count) if is_parquet else make_text(chooser, form, count)
        )
        path = folder / "damaged"
        path.write_bytes(data)
        found, records, entries, bugs, shown = read(path)
        problems += bugs
        if read(path)[-1] != shown:
            problems.append(f"{form}: read twice, with different results")
        surplus = records + entries - count
        is_counted = surplus >= 0 if form in NESTED else surplus == 0
        if len(found) != count or not is_counted:
            lost = f"{count} lines, {records} records, {entries} entries, {len(found)} lines named"
            problems.append(f"{form}: {lost}")
            (folder / f"{form}-{len(problems)}".replace(" ", "-")).write_bytes(data)
        total += count
        total_records += records
        total_entries += entries
    return total, total_records, total_entries, problems


def main() -> int:
    """Print a table of the forms, and every problem."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for the files with problems")
    options = parser.parse_args()
    forms = [*FORMS, "Parquet"]
    failed = False
    print("| form | lines | records | quarantine | problems |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        for form in forms:
            *counts, problems = try_form(form, options.lines // len(forms), options.seed, folder)
            print(f"| {form} | {' | '.join(f'{n:,}' for n in counts)} | {len(problems)} |")
            for problem in problems[:5]:
                print(problem, file=sys.stderr)
            failed = failed or bool(problems)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
