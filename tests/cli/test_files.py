"""Files that commands write."""

from __future__ import annotations

from pathlib import Path

import plotly.graph_objects as go
import pytest

from flowbench.cli.files import write_figure
from flowbench.errors import InputError


def test_a_page_needs_no_network(tmp_path: Path) -> None:
    write_figure(go.Figure(), tmp_path / "f.html", "one")
    page = (tmp_path / "f.html").read_text(encoding="utf-8")
    assert 'id="one"' in page
    assert '<script src="http' not in page


def test_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*: No such file"):
        write_figure(go.Figure(), tmp_path / "no" / "f.html", "one")
