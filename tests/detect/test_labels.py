"""Labels of address pairs: what is read, and which files and lines are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.detect import registered
from flowbench.detect.labels import ANY, DETECTOR_KINDS, is_own_kind, read_labels
from flowbench.errors import InputError

HOST, C2 = "10.0.0.5", "198.51.100.9"


def write_labels(folder: Path, *rows: str, header: str = "src,dst,label,kind") -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (["10.0.0.5,10.0.0.6,evil,x"], "line 2: label 'evil' is none of malicious, benign"),
        (["10.0.0.5,10.0.0.6,benign,x", "ten,10.0.0.6,benign,x"], "line 3: src 'ten' is no addr"),
        ([",10.0.0.6,benign,x"], "line 2: src '' is no address: write an IPv4"),
        (["10.0.0.5,10.0.0.300,benign,x"], "line 2: dst '10.0.0.300' is no .* leave it empty"),
        (["10.0.0.5,10.0.0.6"], "line 2: nothing in column label, kind"),
        (['10.0.0.5,"10.0.0.6'], "line 2: .*correct the CSV"),
        (["10.0.0.5,10.0.0.6,unknown,x"], "labels no pair"),
    ],
)
def test_bad_labels_are_named_with_line_and_remedy(
    tmp_path: Path, rows: list[str], says: str
) -> None:
    path = write_labels(tmp_path, *rows)
    with pytest.raises(InputError, match=says) as caught:
        read_labels(path)
    assert str(path) in str(caught.value)


def test_bad_files_are_named_too(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 1: no column label, kind: the first line must"):
        read_labels(write_labels(tmp_path, header="src,dst,verdict"))
    with pytest.raises(InputError, match="cannot be read"):
        read_labels(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"src,dst,label,kind\n\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        read_labels(tmp_path / "binary.csv")


def test_other_columns_spaces_and_case_are_accepted(tmp_path: Path) -> None:
    path = write_labels(tmp_path, f"7, {HOST} ,{C2}, Malicious ,", header="n, src,dst , label,kind")
    assert read_labels(path).kinds["malicious"] == {"malicious": {(HOST, C2)}}


def test_a_pair_has_its_worst_label(tmp_path: Path) -> None:
    rows = [f"{HOST},{C2},benign,browsing", f"{C2},{HOST},malicious,c2", f"{HOST},,background,x"]
    kinds = read_labels(write_labels(tmp_path, *rows)).kinds
    assert kinds["malicious"] == {"c2": {(HOST, C2)}}
    assert kinds["benign"] == {"browsing": set()}
    assert kinds["background"] == {"x": {("", HOST)}}


def test_pairs_are_kept_and_counted(tmp_path: Path) -> None:
    rows = [f"{HOST},{C2},malicious,c2", f"10.0.0.6,{C2},malicious,c2", f"{C2},,benign,server"]
    labels = read_labels(write_labels(tmp_path, *rows, f"10.0.0.7,{C2},background,noise"))
    assert labels.count() == 4
    kept = labels.keep({(HOST, C2), ("", C2)})
    assert kept.kinds == {
        "malicious": {"c2": {(HOST, C2)}},
        "benign": {"server": {("", C2)}},
        "background": {},
    }
    assert (kept.count(), labels.count()) == (2, 4)


@pytest.mark.parametrize(
    ("detector", "kind", "own"),
    [
        ("scan", "port-scan", True),
        ("scan", "scan-inbound", True),
        ("scan", "scanner", False),
        ("beacon", "campaign", True),
        ("beacon", "mining", False),
        ("rare-peer", "rare-peer", True),
        (ANY, "magic", True),
    ],
)
def test_kinds_that_a_detector_is_made_for(detector: str, kind: str, own: bool) -> None:
    assert is_own_kind(detector, kind) is own


def test_kinds_belong_to_detectors_that_exist() -> None:
    assert set(DETECTOR_KINDS) <= set(registered())
