"""Every format is written with its digest; what is none is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from flowbench import export
from flowbench.cli.export import _FORMATS
from flowbench.errors import InputError


@pytest.mark.parametrize("form", export.FORMATS)
def test_each_format_and_its_digest(case, findings, tmp_path: Path, form: str) -> None:
    path = export.write(case, tmp_path / f"x{export.FORMATS[form].suffix}", form, findings)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert Path(f"{path}.sha256").read_text() == f"{sha256}  {path.name}\n"
    entries = list(case.log.entries_of("report"))
    assert entries[-1]["details"]["files"][0]["sha256"] == sha256


def test_what_is_no_format(case, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'xlsx' is no export format: choose one of timesketch"):
        export.write(case, tmp_path / "x", "xlsx")


def test_a_folder_that_does_not_exist(case, findings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*nowhere"):
        export.write(case, tmp_path / "nowhere" / "x", "ocsf", findings)


def test_the_command_knows_every_format() -> None:
    assert list(export.FORMATS) == list(_FORMATS)
