"""Evidence in archives: each member is read once and identified by its bytes, also if damaged."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.case import Case, parts
from flowbench.io import archive, byte_source, decompress
from flowbench.loaders import dispatch, recognition
from tests.case.conftest import record

LOG = "".join(record(n) + "\n" for n in range(100)).encode()
LOGS = {
    "a/one.log": LOG,
    "b/two.log.gz": gzip.compress(LOG.replace(b"eni-0a", b"eni-0b"), mtime=0),
    "b/trail.json": b'{"Records": [{"eventVersion": "1.08", "eventTime": "2026-09-01T04:00:00Z",'
    b' "eventSource": "ec2.amazonaws.com", "eventName": "RunInstances", "awsRegion": "us-east-1",'
    b' "eventID": "0b7e3e1c-0000-4000-8000-000000000001"}]}',
}


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return out.getvalue()


def tarred(files: dict[str, bytes], **how: object) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", **how) as made:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return out.getvalue()


PACKED = {
    "zip": zipped(LOGS),
    "stored.zip": zipped(LOGS, zipfile.ZIP_STORED),
    "bzip2.zip": zipped(LOGS, zipfile.ZIP_BZIP2),
    "zip.gz": gzip.compress(zipped(LOGS)),
    "tar": tarred(LOGS),
    "pax.tar": tarred(LOGS, format=tarfile.PAX_FORMAT),
    "gnu.tar": tarred(LOGS, format=tarfile.GNU_FORMAT),
    "ustar.tar": tarred(LOGS, format=tarfile.USTAR_FORMAT),
    "tar.gz": gzip.compress(tarred(LOGS)),
    "tar.bz2": bz2.compress(tarred(LOGS)),
    "tar.zst": decompress.zstd.compress(tarred(LOGS)),
    "tar.xz": lzma.compress(tarred(LOGS), preset=0),
}


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case.create(tmp_path / "case")


def put(folder: Path, data: bytes, name: str = "evidence.zip") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def quarantine_reasons(case: Case) -> dict[str, str]:
    rows = case.quarantine.to_pandas()
    return dict(zip(rows["file"], rows["reason"], strict=True))


@pytest.mark.parametrize("how", PACKED)
def test_members_become_evidence(case, tmp_path, how) -> None:
    path = put(tmp_path, PACKED[how], f"logs.{how}")
    files = case.ingest(path)
    assert files["outcome"].tolist() == ["loaded"] * 4
    assert case.has("quarantine") is False
    assert case.flows.count().execute() == 200
    assert case.api_events.count().execute() == 1
    manifest = case.evidence.set_index("file")
    assert manifest.index.tolist() == [*(f"{path.name}/{name}" for name in LOGS), path.name]
    whole = manifest.loc[path.name]
    assert whole[["kind", "records", "sha256", "size"]].tolist() == [
        *("archive", 0, hashlib.sha256(PACKED[how]).hexdigest(), len(PACKED[how]))
    ]
    for name, data in LOGS.items():
        row = manifest.loc[f"{path.name}/{name}"]
        assert (row["member"], row["archive"], row["path"]) == (
            name,
            whole["evidence_id"],
            str(path),
        )
        assert (row["sha256"], row["size"]) == (hashlib.sha256(data).hexdigest(), len(data))
    assert case.verify()["ok"].all()
    assert sorted(p.name for p in case.path.iterdir() if p.suffix != ".lock") == [
        *("case.json", "custody.head", "custody.jsonl", "tables")
    ]
    assert case.ingest(path)["outcome"].tolist() == ["already there"]


def test_same_file_in_and_beside_archives_is_loaded_once(case, tmp_path) -> None:
    (tmp_path / "e").mkdir()
    put(tmp_path / "e", LOGS["a/one.log"], "z.log")
    put(tmp_path / "e", PACKED["zip"], "logs.zip")
    put(tmp_path / "e", PACKED["tar.gz"], "logs.tgz")
    outcome = case.ingest(tmp_path / "e").set_index("file")["outcome"]
    assert case.flows.count().execute() == 200
    assert outcome[outcome == "loaded"].index.tolist() == [
        "logs.tgz",
        "logs.tgz/a/one.log",
        "logs.tgz/b/trail.json",
        "logs.tgz/b/two.log.gz",
        "logs.zip",
    ]
    assert (
        outcome[outcome == "already there"].index
        == ["logs.zip/a/one.log", "logs.zip/b/trail.json", "logs.zip/b/two.log.gz", "z.log"]
    ).all()
    assert case.verify()["ok"].all()


NAMES = [
    "../../etc/passwd",
    "/etc/passwd",
    "a\nb",
    "'; DROP TABLE flows; --",
    'q"uote',
    "-rf",
    "*?[",
    "C:\\x",
    "a" * 3000,
    "\u202egol.exe",
    "=cmd|x",
    "ünï",
    "a\x1b[31m",
]


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_member_names_are_never_used_as_paths(case, tmp_path, kind) -> None:
    files = {name: f"{record(n)}\n".encode() for n, name in enumerate(NAMES)}
    before = sorted(tmp_path.rglob("*"))
    path = put(tmp_path, zipped(files) if kind == "zip" else tarred(files))
    assert (case.ingest(path)["outcome"] == "loaded").all()
    assert case.flows.count().execute() == len(NAMES)
    shown = {name.replace("\\", "/") if os.name == "nt" else name for name in NAMES}
    assert set(case.evidence["member"].dropna()) == shown
    new = set(tmp_path.rglob("*")) - {*before, path}
    assert all(p.is_relative_to(case.path) for p in new)
    assert Case.open(case.path).verify()["ok"].all()


def test_undecodable_and_duplicate_names(case, tmp_path) -> None:
    data = bytearray(tarred({"XX": b"rubbish one", "b": b"rubbish two"}))
    data[0:2] = b"\xff\xfe"
    header = bytearray(data[:512])
    header[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(header)
    again = tarred({"b": LOG})
    path = put(tmp_path, bytes(data[:2048]) + again, "x.tar")
    assert (case.ingest(path)["outcome"] == "loaded").all()
    names = case.evidence["file"].tolist()
    assert names == ["x.tar/\\xff\\xfe", "x.tar/b", "x.tar/b", "x.tar"]
    assert case.evidence["evidence_id"].nunique() == 4
    assert case.flows.count().execute() == 100
    assert case.quarantine.count().execute() == 2


def test_unreadable_zip_members(case, tmp_path) -> None:
    data = bytearray(zipped(LOGS | {"locked.log": b"1", "odd.log": b"2", "lost.log": b"3"}))
    directory = data.index(b"PK\x01\x02")
    at = data.index(b"locked.log", directory) - 46
    data[at + 8] |= 1
    at = data.index(b"odd.log", directory) - 46
    data[at + 10] = 9
    at = data.index(b"lost.log", directory) - 46
    data[at + 42 : at + 46] = struct.pack("<I", 3)
    at = data.index(b"a/one.log", directory) - 46
    data[at + 16] ^= 1  # the checksum
    case.ingest(put(tmp_path, bytes(data)))
    why = quarantine_reasons(case)
    assert {name: reason[:40] for name, reason in why.items()} == {
        "evidence.zip/a/one.log": "damaged in the zip archive: its checksum"[:40],
        "evidence.zip/locked.log": "encrypted: unpack it with its password and"[:40],
        "evidence.zip/odd.log": "compressed in a way that flowbench does not"[:40],
        "evidence.zip/lost.log": why["evidence.zip/lost.log"][:40],
    }
    assert "Deflate64" in why["evidence.zip/odd.log"]
    assert "zip bomb" in why["evidence.zip/lost.log"] or "damaged" in why["evidence.zip/lost.log"]
    assert case.flows.count().execute() == 200  # the intact part is kept
    assert case.verify()["ok"].all()


@pytest.mark.parametrize("how", ["zip", "tar", "tar.gz", "tar.xz", "tar.zst"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated_archive(case, tmp_path, how, share) -> None:
    cut = PACKED[how][: int(len(PACKED[how]) * share)]
    files = case.ingest(put(tmp_path, cut))
    assert set(files["outcome"]) == {"loaded"}
    reasons = set(quarantine_reasons(case).values())
    if how == "zip":
        assert len(files) == 1
        assert any("zip -FF" in reason for reason in reasons)
    elif (how, share) == ("tar", 0.95):  # cut in the padding, where there is nothing
        assert reasons == set()
    else:
        assert reasons
        assert all("cut off" in r or "ends early" in r or "JSON" in r for r in reasons)
    rows = case.flows.count().execute()
    assert 0 <= rows <= 200
    assert how != "tar" or rows > 0


def test_damaged_tar_header_is_reported(case, tmp_path) -> None:
    data = bytearray(tarred(LOGS))
    second = data.index(b"b/two.log.gz")
    data[second] ^= 1
    case.ingest(put(tmp_path, bytes(data)))
    assert case.flows.count().execute() == 100
    assert "the tar archive is damaged" in quarantine_reasons(case)["evidence.zip"]


def test_links_and_devices_in_a_tar(case, tmp_path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for name, kind in {
            "link": tarfile.SYMTYPE,
            "hard": tarfile.LNKTYPE,
            "pipe": tarfile.FIFOTYPE,
            "disk": tarfile.BLKTYPE,
            "folder": tarfile.DIRTYPE,
        }.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            made.addfile(info)
    case.ingest(put(tmp_path, out.getvalue(), "x.tar"))
    assert set(quarantine_reasons(case)) == {"x.tar/link", "x.tar/pipe", "x.tar/disk"}


def test_nested_archives(case, tmp_path) -> None:
    inner = gzip.compress(tarred({"deep.log": LOG}))
    third = zipped({"never.log": LOG.replace(b"eni-0a", b"eni-0c")})
    middle = zipped({"third.zip": third})
    path = put(tmp_path, zipped({"in.tgz": inner, "middle.zip": middle}))
    case.ingest(path)
    manifest = case.evidence.set_index("file")["kind"]
    assert manifest.to_dict() == {
        "evidence.zip/in.tgz/deep.log": "flow-logs",
        "evidence.zip/in.tgz": "archive",
        "evidence.zip/middle.zip/third.zip": "archive",
        "evidence.zip/middle.zip": "archive",
        "evidence.zip": "archive",
    }
    assert case.flows.count().execute() == 100
    assert quarantine_reasons(case) == {
        "evidence.zip/middle.zip/third.zip": "an archive in an archive in an archive: unpack it"
    }
    assert case.verify()["ok"].all()
    path.write_bytes(zipped({"in.tgz": inner}))
    checked = case.verify().set_index("name")["ok"]
    assert checked["evidence.zip/in.tgz/deep.log"]
    assert not checked[["evidence.zip", "evidence.zip/middle.zip"]].any()


@pytest.mark.parametrize("how", ["zip", "stored.zip", "tar", "tar.gz"])
def test_parquet_in_an_archive(case, tmp_path, how) -> None:
    out = io.BytesIO()
    rows = {"srcaddr": ["10.0.0.1"], "dstaddr": ["10.0.0.2"], "bytes": [7], "start": [1788232200]}
    pq.write_table(pa.table(rows), out)
    files = {"f.parquet": out.getvalue()}
    method = zipfile.ZIP_DEFLATED if how == "zip" else zipfile.ZIP_STORED
    data = zipped(files, method) if "zip" in how else tarred(files)
    case.ingest(put(tmp_path, gzip.compress(data) if how.endswith("gz") else data))
    assert case.flows.bytes.sum().execute() == 7
    assert case.verify()["ok"].all()


def test_overlapping_members_are_a_zip_bomb(case, tmp_path) -> None:
    data = bytearray(zipped({"a.log": LOG, "b.log": LOG}))
    directory = data.index(b"PK\x01\x02")
    at = data.index(b"b.log", directory) - 46
    data[at + 42 : at + 46] = struct.pack("<I", 0)
    case.ingest(put(tmp_path, bytes(data)))
    assert case.flows.count().execute() == 100
    assert "zip bomb" in quarantine_reasons(case)["evidence.zip/b.log"]


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_zip_bomb_uses_little_memory(tmp_path, method) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made, made.open("bomb.log", "w") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
    evidence = dispatch.Evidence.of(put(tmp_path, out.getvalue()), "x.zip")
    tracemalloc.start()
    (bomb,) = dispatch.expand_archive(evidence)
    tables = [name for name, _ in dispatch.read(bomb)]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    evidence.container.close()
    assert (bomb.size, tables) == (64 << 20, ["quarantine"])
    assert most < 8 << 20


def test_no_disk_space_to_decompress(case, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(byte_source, "MAX_TEMPORARY_FILE", 1000)
    case.ingest(put(tmp_path, PACKED["tar.gz"], "big.tgz"), put(tmp_path, LOG, "ok.log"))
    assert case.flows.count().execute() == 100
    assert (
        "Unpack it where there is room and load the folder" in quarantine_reasons(case)["big.tgz"]
    )
    assert case.verify()["ok"].all()


def test_copied_archive_is_in_the_case_once(case, tmp_path) -> None:
    path = put(tmp_path, PACKED["tar.gz"])
    case.ingest(path, copy=True)
    path.unlink()
    digest = hashlib.sha256(PACKED["tar.gz"]).hexdigest()
    assert [p.name for p in (case.path / "evidence").iterdir()] == [digest]
    assert case.evidence["path"].unique().tolist() == [f"evidence/{digest}"]
    moved = case.path.rename(tmp_path / "elsewhere")
    assert Case.open(moved).verify()["ok"].all()


def test_verify_names_the_changed_member(case, tmp_path) -> None:
    path = put(tmp_path, PACKED["zip"])
    case.ingest(path)
    path.write_bytes(zipped(LOGS | {"a/one.log": LOG + b"\n"}, zipfile.ZIP_STORED))
    checked = case.verify().set_index("name")
    assert checked.index[~checked["ok"]].tolist() == ["evidence.zip", "evidence.zip/a/one.log"]
    path.unlink()
    checked = case.verify()
    moved = checked[checked["what"] == "evidence"]
    assert moved["result"].tolist() == ["not available"] * len(moved) != []


def test_interrupted_load_of_an_archive_is_resumed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(parts, "ROWS_PER_BATCH", 150)
    files = {f"{n}.log": LOG.replace(b"eni-0a", b"eni-%d" % n) for n in range(8)}
    path = put(tmp_path, gzip.compress(tarred(files)), "logs.tgz")

    def stop(done: int, total: int, name: str) -> None:
        if name.endswith("4.log"):
            raise KeyboardInterrupt

    calm, stopped = Case.create(tmp_path / "calm"), Case.create(tmp_path / "stopped")
    calm.ingest(path)
    with pytest.raises(KeyboardInterrupt):
        stopped.ingest(path, progress=stop)
    assert stopped.flows.count().execute() == 400
    assert "logs.tgz" not in set(stopped.evidence["file"])
    assert stopped.verify()["ok"].all()  # each member by its own digest
    stopped.ingest(path)
    assert stopped.flows.count().execute() == 800
    for part in (calm.path / "tables").glob("*/*"):
        twin = stopped.path / part.relative_to(calm.path)
        assert twin.read_bytes() == part.read_bytes()


@pytest.mark.parametrize("size", [b"\xff" * 12, b"\x80" + b"\x7f" * 11, b"\xff" * 11 + b"\x00"])
def test_impossible_tar_size(tmp_path, size) -> None:
    data = bytearray(tarred({"a": b"x", "b": b"y"}))
    data[1024 + 124 : 1024 + 136] = size
    header = bytearray(data[1024:1536])
    header[148:156] = b" " * 8
    data[1024 + 148 : 1024 + 156] = b"%06o\0 " % sum(header)
    evidence = dispatch.Evidence.of(put(tmp_path, bytes(data)), "x.tar")
    names = [file.member for file in dispatch.expand_archive(evidence)]
    assert names in (["a"], ["a", "b"])
    assert evidence.container.skipped
    evidence.container.close()


@pytest.mark.parametrize("how", ["zip", "tar", "pax.tar", "tar.gz"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_arbitrary_damage_is_survived(tmp_path_factory, how, data) -> None:
    small = {"a.log": record(1).encode(), "ü" * 80: b"{}", "d/": b""}
    packed = bytearray(zipped(small) if how == "zip" else tarred(small))
    packed = packed[: data.draw(st.integers(0, len(packed)))]
    for _ in range(data.draw(st.integers(0, 4))):
        if packed:
            packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    whole = gzip.compress(bytes(packed)) if how.endswith("gz") else bytes(packed)
    evidence = dispatch.Evidence.of(put(tmp_path_factory.mktemp("f"), whole), "x")
    for found in [*dispatch.expand_archive(evidence), evidence]:
        for _ in dispatch.read(found):
            pass
    if evidence.container is not None:
        evidence.container.close()


def test_isal_inflates_what_zlib_deflated() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packer.compress(LOG) + packer.flush()
    decompression = decompress.Decompression(iter([data]))
    assert b"".join(decompression.decompress(archive._DEFLATE, iter([data]))) == LOG
    assert decompression.problem is None


@pytest.mark.parametrize("name", ["MAX_TEMPORARY_FILE", "MAX_BINARY"])
def test_oversized_binary_data_does_not_stop_a_load(case, tmp_path, monkeypatch, name) -> None:
    monkeypatch.setattr(byte_source if name == "MAX_TEMPORARY_FILE" else recognition, name, 10_000)
    start = b"PAR1" if name == "MAX_TEMPORARY_FILE" else b"\x00\x01"
    put(tmp_path, gzip.compress(start + bytes(1 << 20)), "bomb.gz")
    files = case.ingest(tmp_path / "bomb.gz", put(tmp_path, LOG, "ok.log"))
    assert files["quarantined"].tolist() == [1, 0]
    assert case.flows.count().execute() == 100
    assert "Unpack it where there is room" in quarantine_reasons(case)["bomb.gz"]


def test_oversized_header_or_directory(case, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(archive, "MAX_HEADER", 10_000)
    long_name = {"ok.log": LOG, "n" * 20_000: b"lost", "after.log": b"lost"}
    many = {f"{n:0100}": b"" for n in range(100)}
    case.ingest(
        put(tmp_path, tarred(long_name), "pax.tar"),
        put(tmp_path, tarred(long_name, format=tarfile.GNU_FORMAT), "gnu.tar"),
        put(tmp_path, zipped(many), "many.zip"),
    )
    why = quarantine_reasons(case)
    assert set(why) == {"pax.tar", "gnu.tar", "many.zip"}
    assert all("a header of" in reason for reason in why.values())
    assert case.flows.count().execute() == 100


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_too_many_members(case, tmp_path, monkeypatch, kind) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 5)
    files = {f"{n}.log": record(n).encode() for n in range(20)}
    case.ingest(put(tmp_path, zipped(files) if kind == "zip" else tarred(files)))
    assert case.flows.count().execute() == 6
    assert quarantine_reasons(case) == {
        "evidence.zip": "more than 5 members: unpack it and load the folder"
    }


def test_open_archive_keeps_no_bytes(tmp_path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("a.log", "x")
    evidence = dispatch.Evidence.of(put(tmp_path, out.getvalue()), "x.zip", keep=True)
    assert evidence.content == out.getvalue()
    assert [member.file for member in dispatch.expand_archive(evidence)] == ["x.zip/a.log"]
    assert evidence.content is None
    assert evidence.container is not None
    evidence.container.close()
