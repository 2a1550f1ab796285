"""Seals: anchors of the chain, checked in the case and outside it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from flowbench.case import Case, custody, seal
from flowbench.errors import CaseError, InputError


@pytest.fixture
def sealed(case) -> tuple[Case, Path]:
    case.note("sealed")
    (anchor,) = seal.seal_case(case.path, case.log, "a\nhead: 0\u202e")
    return case, anchor


def results(case: Case, *anchors: Path) -> list[tuple[str, str]]:
    log = custody.CustodyLog(case.log.path, "t")
    return [(check.result, check.detail) for check in seal.check_seals(case.path, log, anchors)]


def test_an_anchor_has_the_digest_of_the_last_entry(sealed) -> None:
    case, anchor = sealed
    head = case.custody[1]["digest"]
    assert anchor.name == f"anchor-2-{head[:8]}.txt"
    lines = anchor.read_text(encoding="utf-8").splitlines()
    assert lines[:4] == [
        "flowbench custody anchor, version 1",
        "case: a?head: 0\u202e",
        "entry: 2",
        f"head: {head}",
    ]
    (entry,) = case.log.entries_of("seal")
    assert (entry["details"]["sealed"], entry["details"]["entry"]) == (head, 2)
    (result, detail), newest = results(case)
    assert newest[0] == "note"
    assert "check the head that was noted last with --head" in newest[1]
    assert result == "intact"
    assert detail.startswith("sealed 20")
    assert detail.endswith(" UTC at entry 2 of now 3; not signed")
    assert case.verify()["ok"].all()


def test_a_chain_rewritten_whole_does_not_fit_its_anchors(sealed, tmp_path) -> None:
    case, anchor = sealed
    kept = shutil.copy(anchor, tmp_path / "kept.txt")
    entries = [json.loads(line) for line in case.log.path.read_bytes().splitlines()][:2]
    previous = custody.START
    for entry in entries:
        entry |= {"by": "somebody", "previous": previous}
        entry["digest"] = previous = custody.entry_digest(entry)
    case.log.path.write_bytes(b"".join(map(custody._to_line, entries)))
    case.log.head_path.write_text(f"2 {previous}\n")
    shutil.rmtree(case.path / "seals")
    assert results(case) == []
    (result, detail), _ = results(case, kept)
    assert result == "altered"
    assert detail.startswith("the custody log has no entry 2 with the digest ")
    shutil.copy(kept, tmp_path / "seals.txt")
    (case.path / "seals").mkdir()
    shutil.copy(kept, case.path / "seals" / "anchor-2-x.txt")  # one that was left
    assert not Case.open(case.path).verify()["ok"].all()


@pytest.mark.parametrize("way", ["entry", "head", "time", "not text", "empty", "carriage return"])
def test_a_changed_anchor_is_found(sealed, way) -> None:
    case, anchor = sealed
    data = anchor.read_bytes()
    new = {
        "entry": data.replace(b"entry: 2", b"entry: 9"),
        "head": data.replace(b"head: ", b"head: 0", 1),
        "time": data.replace(b"sealed: 2", b"sealed: 1"),
        "not text": b"\xff\xfe",
        "empty": b"",
        "carriage return": data.replace(b"\n", b"\r\n"),
    }[way]
    anchor.write_bytes(new)
    assert "altered" in {result for result, _ in results(case)}


def test_an_anchor_that_is_kept_elsewhere_is_not_available(sealed, tmp_path) -> None:
    case, anchor = sealed
    moved = shutil.move(anchor, tmp_path / anchor.name)
    ((result, _),) = results(case)
    assert result == "not available"
    found = [result for result, _ in results(case, Path(moved))]
    assert found == ["not available", "intact", "note"]
    with pytest.raises(InputError, match="is not a file"):
        results(case, tmp_path / "nowhere")


def test_signers_sign_the_anchor_in_any_folder(case, tmp_path) -> None:
    def sign(anchor: Path) -> Path:
        path = anchor.with_name(anchor.name + ".asc")
        path.write_bytes(b"signed")
        return path

    anchor, signature = seal.seal_case(case.path, case.log, "x", [sign], tmp_path / "a" / "b")
    assert anchor.parent == tmp_path / "a" / "b"
    (entry,) = case.log.entries_of("seal")
    files = [record["file"] for record in entry["details"]["files"]]
    assert files == [str(anchor), str(signature)]


def test_a_signer_that_fails_leaves_nothing(case) -> None:
    def sign(anchor: Path) -> Path:
        path = anchor.with_name(anchor.name + ".asc")
        path.write_bytes(b"signed")
        return path

    def fail(_: Path) -> Path:
        raise InputError("no key")

    with pytest.raises(InputError, match="no key"):
        seal.seal_case(case.path, case.log, "x", [sign, fail])
    assert list((case.path / "seals").iterdir()) == []
    assert [entry["action"] for entry in case.custody] == ["create"]


def test_a_changed_log_is_not_sealed(case) -> None:
    case.log.path.write_bytes(b"")
    with pytest.raises(CaseError, match="the custody log was changed"):
        seal.seal_case(case.path, case.log, "x")
    assert not (case.path / "seals").exists()


def test_a_folder_that_cannot_be_made_is_a_case_error(case, tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CaseError, match="cannot write"):
        seal.seal_case(case.path, case.log, "x", folder=tmp_path / "file")


def test_a_stopped_seal_leaves_nothing(case) -> None:
    def stop(anchor: Path) -> Path:
        anchor.with_name(anchor.name + ".sig").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seal.seal_case(case.path, case.log, "x", [stop])
    assert list((case.path / "seals").iterdir()) == []
    assert [entry["action"] for entry in case.custody] == ["create"]


@pytest.mark.parametrize("suffix", ["", ".sig", ".asc", ".tsr"])
def test_what_a_killed_seal_left_is_refused_and_kept(case, suffix: str) -> None:
    left = case.path / "seals" / f"anchor-1-{case.log.head[:8]}.txt{suffix}"
    left.parent.mkdir()
    left.write_bytes(b"somebody's")
    with pytest.raises(InputError, match="exists and the custody log does not name it"):
        seal.seal_case(case.path, case.log, "x")
    assert left.read_bytes() == b"somebody's"


@pytest.mark.parametrize(
    ("trust", "option"),
    [
        (seal.Trust(signers=Path("allowed")), "--signers"),
        (seal.Trust(authorities=Path("root.pem")), "--timestamp-ca"),
    ],
)
def test_asked_for_signatures_that_no_anchor_has_are_missing(sealed, trust, option: str) -> None:
    case, _ = sealed
    log = custody.CustodyLog(case.log.path, "t")
    checks = {check.name: check for check in seal.check_seals(case.path, log, (), trust)}
    assert (checks[option].result, checks[option].ok) == ("missing", False)


def test_entries_after_the_newest_anchor_are_stated(sealed) -> None:
    case, _ = sealed
    assert "No anchor covers" not in results(case)[-1][1]
    case.note("later")
    result, detail = results(case)[-1]
    assert result == "note"
    assert detail.endswith("No anchor covers the entries 3 to 4, among them note")
    assert "--head" in detail
