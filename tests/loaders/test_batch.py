"""Small files read as one: the same rows and manifest as when read one by one."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.loaders import batch, dispatch
from tests.loaders.flowlogs.test_text import HEADER, LINE, NODATA, SKIPDATA, plain

GOOD = f"{HEADER}\n{LINE}\n{NODATA}\n"
OTHER = "version srcaddr dstaddr start end\n2 10.0.0.1 10.0.0.2 1788232200 1788232259\n"


def evidence(folder: Path, *files: bytes) -> list[dispatch.Evidence]:
    found = []
    for number, data in enumerate(files):
        path = folder / f"{number}.log"
        path.write_bytes(data)
        found.append(dispatch.Evidence.of(path, path.name))
    return found


def both(group: list[dispatch.Evidence]) -> tuple[bool, list[dict], list[dispatch.Evidence]]:
    """Read a group both ways; return whether it was read together, its rows and manifest."""
    copies = [replace(file) for file in group]
    tables = list(batch.read(group))
    single = [table for file in copies for table in dispatch.read(file)]
    rows = {}
    for way, found in (("together", tables), ("single", single)):
        flows = [table for name, table in found if name == "flows"]
        bad = [row for name, table in found if name == "quarantine" for row in table.to_pylist()]
        rows[way] = [*(plain(*flows).to_pylist() if flows else []), *bad]
    assert rows["together"] == rows["single"]
    assert group == copies
    return len(tables) == 1 < len(group), rows["together"], group


def test_rows_keep_file_and_line(tmp_path) -> None:
    made = f"{HEADER}\n{SKIPDATA}\n{LINE.replace('51544', '6')}"
    files = [GOOD.encode(), gzip.compress(made.encode()), b"\xef\xbb\xbf" + GOOD.encode() * 1]
    files[2] = files[2].replace(b"\n", b"\r\n").replace(b"51544", b"7")
    is_together, rows, found = both(evidence(tmp_path, *files))
    assert is_together
    places = [(row["evidence_id"], row["line"], row["srcport"]) for row in rows]
    first, second, third = (file.evidence_id for file in found)
    assert places == [
        (first, 2, 51544),
        (first, 3, None),
        (second, 2, None),
        (second, 3, 6),
        (third, 2, 7),
        (third, 3, None),
    ]
    assert [(e.records, e.nodata, e.skipdata) for e in found] == [(2, 1, 0), (2, 0, 1), (2, 1, 0)]
    assert found[1].first_seen == "2026-09-01T03:10:00+00:00"
    assert found[1].last_seen == "2026-09-01T03:16:00+00:00"


@pytest.mark.parametrize(
    "odd",
    [
        f"{HEADER}\n{LINE} more\n",
        f"{HEADER}\n{LINE.replace('51544', '99999')}\n",
        f"{HEADER}\n{LINE.replace('10.0.1.10', '10.0.1.999')}\n",
        f"{HEADER}\n{LINE}\n\n{LINE}\n",
        f"{HEADER}\n{LINE}\r{LINE}\n",
        f"{HEADER}\n{LINE}\n{HEADER}\n{LINE}\n",
        f"{HEADER}\n",
        HEADER,
        LINE,
        OTHER,
        "",
        '{"Records": []}',
        "10.0.0.1\n10.0.0.2\n",
        f"{HEADER}\n{LINE.replace('eni-0a', 'eni-ÿ')}\n".encode("latin-1").decode("latin-1"),
    ],
)
def test_unusual_file_in_a_group(tmp_path, odd: str) -> None:
    files = [GOOD.encode(), odd.encode("latin-1"), GOOD.encode().replace(b"51544", b"2")]
    is_together, rows, found = both(evidence(tmp_path, *files))
    assert not is_together
    assert [row["srcport"] for row in rows if row["evidence_id"] == found[0].evidence_id] == [
        51544,
        None,
    ]
    assert [row["srcport"] for row in rows if row["evidence_id"] == found[2].evidence_id] == [
        2,
        None,
    ]


def test_changed_file_is_named(tmp_path) -> None:
    group = evidence(tmp_path, GOOD.encode(), GOOD.encode() * 2)
    Path(group[1].path).write_bytes(GOOD.replace("51544", "51545").encode() * 2)
    with pytest.raises(dispatch.UnreadableError, match=r"^1\.log changed while it was read"):
        list(batch.read(group))


def test_compression_bomb_is_not_read_together(tmp_path) -> None:
    bomb = gzip.compress(f"{HEADER}\n".encode() + b"0" * (40 << 20))
    is_together, rows, found = both(evidence(tmp_path, GOOD.encode(), bomb))
    assert (is_together, len(rows), found[1].quarantined) == (False, 3, 1)


def test_groups_are_successive_small_files() -> None:
    def of(*sizes: int) -> list[dispatch.Evidence]:
        return [dispatch.Evidence(str(n), "", size, str(n), str(n)) for n, size in enumerate(sizes)]

    def cut(*sizes: int) -> list[list[int]]:
        return [[file.size >> 10 for file in group] for group in batch.group_files(of(*sizes))]

    kb = 1 << 10
    assert cut() == []
    assert cut(kb, kb, 300 * kb, kb, 256 * kb, 300 * kb) == [[1, 1], [300], [1, 256], [300]]
    assert cut(*[256 * kb] * 6) == [[256] * 4, [256] * 2]
    # Cut after any group, the rest makes the same groups: a killed load is resumed the same.
    sizes = [n * 37 % 300 * kb for n in range(200)]
    whole = cut(*sizes)
    for after in range(len(whole)):
        done = sum(map(len, whole[:after]))
        assert cut(*sizes[done:]) == whole[after:]


_LINES = st.sampled_from([LINE, NODATA, SKIPDATA, "", LINE + "\r", LINE[:-3], "x", HEADER])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(_LINES, max_size=4), min_size=2, max_size=4), st.booleans())
def test_any_group_gives_what_its_files_give(tmp_path_factory, files, ends: bool) -> None:
    folder = tmp_path_factory.mktemp("files")
    texts = ["\n".join([HEADER, *lines]) + "\n" * ends for lines in files]
    both(evidence(folder, *(text.encode() for text in texts)))
