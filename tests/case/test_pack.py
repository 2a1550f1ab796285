"""A case as one archive: the same bytes, whole when it is unpacked, nothing outside its folder."""

from __future__ import annotations

import json
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowbench.case import Case, pack
from flowbench.errors import CaseError, InputError
from tests.traffic import T0, connect, make_case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    made = make_case(tmp_path_factory.mktemp("pack"), connect("10.0.0.5", "192.0.2.1", 22, T0))
    made.note("look at this")
    return made


@pytest.fixture(scope="module")
def archive(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("archive") / "case.zip"
    return pack.pack_case(case.path, case.log, target, with_evidence=True)


def test_an_unpacked_case_is_the_same_and_intact(case: Case, archive: Path, tmp_path: Path) -> None:
    path = pack.unpack_case(archive, tmp_path / "a" / "case")
    again = Case.open(path)
    assert again.log.head == case.log.head
    assert again.notes[0]["text"] == "look at this"
    assert again.flows.count().execute() == case.flows.count().execute()
    assert again.verify()["ok"].all()
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in path.rglob("*") if p.is_file())
    assert not (path / "cache").exists()


def test_the_evidence_is_found_in_the_unpacked_case(
    case: Case, archive: Path, tmp_path: Path
) -> None:
    path = pack.unpack_case(archive, tmp_path / "case")
    (evidence,) = (path / "evidence").iterdir()
    original = Path(case.evidence["path"].iloc[0])
    assert evidence.read_bytes() == original.read_bytes()
    hidden = original.with_name("elsewhere")
    original.rename(hidden)
    try:
        rows = Case.open(path).verify().query("what == 'evidence'")
        assert (rows["result"] == "intact").all()
        assert rows["detail"].iloc[0] == f"found at {evidence}"
        with pytest.raises(InputError, match=r"is no longer at .*or pack without evidence"):
            pack.pack_case(case.path, case.log, tmp_path / "b.zip", with_evidence=True)
    finally:
        hidden.rename(original)


def test_the_same_case_the_same_bytes(case: Case, archive: Path, tmp_path: Path) -> None:
    again = pack.pack_case(case.path, case.log, tmp_path / "again.zip", with_evidence=True)
    assert again.read_bytes() == archive.read_bytes()
    assert stat.S_IMODE(again.stat().st_mode) == 0o600


def test_without_evidence(case: Case, tmp_path: Path) -> None:
    path = pack.pack_case(case.path, case.log, tmp_path / "c.zip")
    with zipfile.ZipFile(path) as opened:
        assert not any(name.startswith("evidence/") for name in opened.namelist())


def test_a_changed_case_is_not_packed(case: Case, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(case.path, copy)
    (part,) = (copy / "tables" / "flows").iterdir()
    part.write_bytes(part.read_bytes() + b"x")
    with pytest.raises(CaseError, match="is not as the custody log has it"):
        pack.pack_case(copy, Case.open(copy).log, tmp_path / "d.zip")
    assert [p.name for p in tmp_path.iterdir()] == ["copy"]


def rewrite(
    archive: Path, target: Path, change: Callable[[dict[str, Any], dict[str, bytes]], None]
) -> Path:
    """Write an archive with other content, as an attacker would."""
    with zipfile.ZipFile(archive) as source:
        members = {name: source.read(name) for name in source.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    change(manifest, members)
    with zipfile.ZipFile(target, "w") as sink:
        sink.writestr("manifest.json", json.dumps(manifest))
        for name, data in members.items():
            sink.writestr(name, data)
    return target


def test_the_manifest_has_the_digest_of_the_readme(archive: Path, tmp_path: Path) -> None:
    def change(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
        members["README.txt"] += b"Run this program: "

    evil = rewrite(archive, tmp_path / "evil.zip", change)
    with pytest.raises(InputError, match=r"README\.txt is not as its manifest has it"):
        pack.unpack_case(evil, tmp_path / "case")
    assert not (tmp_path / "case").exists()


def add(name: str) -> Callable[[dict[str, Any], dict[str, bytes]], None]:
    def change(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
        members[name] = b"evil"
        sha256 = "0" * 64
        manifest["files"].append({"file": name, "sha256": sha256, "bytes": 4})

    return change


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/evil",
        "tables/../../evil",
        "tables/./evil",
        "C:/evil",
        "tables\\evil",
        "tables/a\nb",
        "other/evil",
        "tables/.. /evil",
        "-rf",
        "CASE.JSON",
        "x" * 600,
    ],
)
def test_names_that_lead_elsewhere_are_refused(archive: Path, tmp_path: Path, name: str) -> None:
    evil = rewrite(archive, tmp_path / "evil.zip", add(name))
    with pytest.raises(InputError):
        pack.unpack_case(evil, tmp_path / "out" / "case")
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())
    assert not (tmp_path / "evil").exists()


def drop_member(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
    del members["custody.jsonl"]


def add_member(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
    members["tables/extra"] = b"x"


def change_bytes(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
    members["custody.jsonl"] += b" "


def lie_about_size(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
    next(f for f in manifest["files"] if f["file"] == "case.json")["bytes"] = 1


def change_format(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
    manifest["format"] = "x"


def change_version(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
    manifest["version"] = 99


def no_list(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
    manifest["files"] = "x"


@pytest.mark.parametrize(
    "change",
    [drop_member, add_member, change_bytes, lie_about_size, change_format, change_version, no_list],
)
def test_what_is_not_as_the_manifest_has_it_is_refused(
    archive: Path, tmp_path: Path, change: Any
) -> None:
    evil = rewrite(archive, tmp_path / "evil.zip", change)
    with pytest.raises(InputError):
        pack.unpack_case(evil, tmp_path / "case")
    assert [p.name for p in tmp_path.iterdir()] == ["evil.zip"]


def test_a_bomb_ends_at_its_listed_size(archive: Path, tmp_path: Path) -> None:
    def change(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
        members["custody.jsonl"] = b"0" * 50_000_000

    evil = tmp_path / "evil.zip"
    rewrite(archive, evil, change)
    with pytest.raises(InputError, match="is not as its manifest has it"):
        pack.unpack_case(evil, tmp_path / "case")


def test_more_than_the_disk_is_refused(archive: Path, tmp_path: Path) -> None:
    def change(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
        manifest["files"][0]["bytes"] = 1 << 60

    with pytest.raises(CaseError, match="not enough disk space"):
        pack.unpack_case(rewrite(archive, tmp_path / "evil.zip", change), tmp_path / "case")


def test_links_are_refused(archive: Path, tmp_path: Path) -> None:
    evil = tmp_path / "evil.zip"
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(evil, "w") as sink:
        for info in source.infolist():
            data = source.read(info.filename)
            if info.filename == "case.json":
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            sink.writestr(info, data)
    with pytest.raises(InputError, match="has a link or a device"):
        pack.unpack_case(evil, tmp_path / "case")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no zip at all" * 100])
def test_what_is_no_archive(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(InputError, match="is no archive of `flowbench pack`"):
        pack.unpack_case(tmp_path / "x.zip", tmp_path / "case")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_byte_is_refused_or_harmless(archive: Path, tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(tmp_path / "b.zip", "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name), method)
        whole, log = target.getinfo("custody.jsonl"), source.read("custody.jsonl")
    data, name = (tmp_path / "b.zip").read_bytes(), len("custody.jsonl")
    start = whole.header_offset + 30 + name  # the compressed bytes follow the local header
    for at in range(start, start + whole.compress_size, 7):
        damaged = tmp_path / "damaged.zip"
        damaged.write_bytes(data[:at] + bytes([data[at] ^ 0xA5]) + data[at + 1 :])
        out = tmp_path / f"out{at}"
        try:
            pack.unpack_case(damaged, out)
        except (InputError, CaseError):
            assert not out.exists()
        else:  # a bit that the method does not use
            assert (out / "custody.jsonl").read_bytes() == log


def test_a_folder_in_use_is_refused(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(CaseError, match="is not an empty folder"):
        pack.unpack_case(archive, tmp_path)
