"""A load that the disk has no room for is refused before it begins."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from flowbench.case import disk_space
from flowbench.errors import CaseError
from tests.case.conftest import table_bytes, write_log


@pytest.mark.parametrize("copy", [False, True])
def test_a_load_without_room_is_refused_and_leaves_nothing(case, logs, monkeypatch, copy) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(disk_space.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
        with pytest.raises(CaseError, match=r"needs about .* 10 B are free.*Free some space"):
            case.ingest(logs, copy=copy)
    assert table_bytes(case.path) == {}
    assert not list((case.path / "evidence").glob("*"))
    assert "loaded" in case.ingest(logs, copy=copy)["outcome"].tolist()


def test_files_that_are_there_already_need_no_room(case, logs, monkeypatch) -> None:
    case.ingest(logs)
    needed: list[int] = []
    monkeypatch.setattr(disk_space, "require_space", lambda _, size: needed.append(size))
    case.ingest(logs)
    new = write_log(logs / "new.log.gz", range(9000, 9100)) or logs / "new.log.gz"
    case.ingest(logs)
    assert needed == [0, int(new.stat().st_size * disk_space.COMPRESSED_SHARE)]
