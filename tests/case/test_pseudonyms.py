"""A pseudonymised case: no name is left in any file, and it can be worked with as before."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flowbench import detect
from flowbench.case import Case, pack
from flowbench.case.pseudonyms import Pseudonyms, pack_pseudonymised, read_key
from flowbench.errors import InputError
from flowbench.investigate import attribution
from tests.incident_case import HOST, make_incident_case

KEY = b"k" * 32
SECRETS = ("111122223333", "AKIAEXAMPLEEVE", "AKIAEXAMPLEADA", "i-0aaaa1111", "/eve", "/ada")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    made = make_incident_case(tmp_path_factory.mktemp("original") / "incident")
    detect.run(made)
    made.note("user eve and i-0aaaa1111", about="eve")
    return made


@pytest.fixture(scope="module")
def archive(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    return pack_pseudonymised(case.path, case.log, folder / "case.zip", folder / "key")


@pytest.fixture(scope="module")
def again(archive: Path) -> Case:
    return Case.open(pack.unpack_case(archive, archive.parent / "case"))


def texts(path: Path) -> Iterator[str]:
    """Every text in a file, in Parquet also."""
    if path.suffix != ".parquet":
        yield path.read_bytes().decode("utf-8", "replace")
        return
    raw = path.read_bytes().decode("latin-1")
    yield raw
    for column in pq.read_table(path).columns:
        yield str(column.to_pylist())


def test_nothing_that_identifies_is_left(archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        for text in texts(path):
            for secret in SECRETS:
                assert secret not in text, (path.name, secret)


def test_short_names_are_replaced_in_their_columns(case: Case, archive: Path, again: Case) -> None:
    names = []
    for each in (case, again):
        tables = [pq.read_table(path) for path in each.path.glob("tables/*/*.parquet")]
        found = [table["name"].to_pylist() for table in tables if "name" in table.schema.names]
        names.append({name for column in found for name in column})
    assert "db" in names[0]
    assert "db" not in names[1]
    pseudonyms = Pseudonyms(KEY, [], ["db"])
    assert pseudonyms.name("arn:aws:iam::1:user/db") == f"arn:aws:iam::1:user/{pseudonyms.of('db')}"
    assert pseudonyms.replace("db of db") == "db of db"


def test_the_readme_says_what_cannot_be_verified(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        text = opened.read(pack.README).decode()
    assert "cannot be verified against the original evidence" in text


def test_the_case_is_intact_and_tells_the_original_head(case: Case, again: Case) -> None:
    checks = again.verify()
    assert checks.loc[~checks["ok"], "detail"].tolist() == []
    (entry,) = again.log.entries_of("pseudonymise")
    assert entry["details"]["original_head"] == case.log.head
    assert again.name.startswith("case-")


def test_the_chain_of_the_attribution_holds(case: Case, again: Case) -> None:
    before, after = (attribution.trace(each, HOST) for each in (case, again))
    assert [step.step for step in after.steps] == [step.step for step in before.steps]
    assert after.value("principal") != before.value("principal")
    assert after.value("instance") in after.of("instance")[0].description


def test_findings_are_the_same_but_for_names(case: Case, again: Case) -> None:
    before, after = (detect.run(each, keep=False) for each in (case, again))
    key = [(f.detector, f.severity, f.bytes_out) for f in before]
    assert [(f.detector, f.severity, f.bytes_out) for f in after] == key


def test_the_same_key_gives_the_same_bytes_and_another_does_not(
    case: Case, archive: Path, tmp_path: Path
) -> None:
    key = archive.parent / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    pseudonyms = [
        Pseudonyms(k, ["111122223333"], ["eve"]).replace("arn:aws:iam::111122223333:user/eve")
        for k in (read_key(key), read_key(key), KEY)
    ]
    assert pseudonyms[0] == pseudonyms[1] != pseudonyms[2]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("111122223333", r"\d{12}"),
        ("AKIAEXAMPLE000000001", r"AKIA[0-9A-F]{16}"),
        ("i-0123456789abcdef0", r"i-[0-9a-f]{17}"),
        ("eve", r"name-[0-9a-f]{10}"),
        ("10.0.0.5%vpc-0aaa", r"10\.0\.0\.5%vpc-[0-9a-f]{17}"),
    ],
)
def test_pseudonyms_have_the_form_of_their_values(text: str, form: str) -> None:
    import re

    made = Pseudonyms(KEY, ["111122223333"], ["eve"]).replace(text)
    assert made != text
    assert re.fullmatch(form, made)


@pytest.mark.parametrize("text", ["10.0.0.5", "evening", "i-", "999988887777", "RunInstances", ""])
def test_other_texts_stay(text: str) -> None:
    assert Pseudonyms(KEY, ["111122223333"], ["eve", "a"]).replace(text) == text


@pytest.mark.parametrize("content", ["", "xyz", "00", "é"])
def test_what_is_no_key(tmp_path: Path, content: Any) -> None:
    (tmp_path / "key").write_text(content)
    with pytest.raises(InputError):
        read_key(tmp_path / "key")


def test_tags_in_requests_are_replaced_like_tags() -> None:
    made = Pseudonyms(KEY, [], ["web-1"])
    text = (
        '{"items":[{"key":"Name","value":"web-1"},{"key":"owner","value":"team \\"x\\""},'
        '{"key":"env", "value":""}],"instanceType":"t3.large"}'
    )
    name = made.of("web-1")
    tag = made.tag('team \\"x\\"')
    assert made.request(text) == (
        f'{{"items":[{{"key":"Name","value":"{name}"}},{{"key":"owner","value":"{tag}"}},'
        '{"key":"env", "value":""}],"instanceType":"t3.large"}'
    )
    assert tag.startswith("tag-")
