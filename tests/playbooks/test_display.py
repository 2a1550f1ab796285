"""Tables of playbooks: whole, escaped, and with a sentence where there are no rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from flowbench.playbooks import show

HOSTILE = "<script>alert(1)</script>\x1b[2J"
PATH = "AWSLogs/111122223333/vpcflowlogs/us-east-1/2026/09/01/" + "x" * 80 + ".log.gz"
FRAME = pd.DataFrame(
    {
        "first_seen": pd.to_datetime(["2026-09-02T03:09:14Z", None]),
        "service_port": [44_443, 443],
        "bytes_out": pd.array([1_234_567, None], "Int64"),
        "share": [0.25, np.nan],
        "is_new": [True, False],
        "names": [["a", "b"], []],
        "file": [PATH, HOSTILE],
    }
)


def test_values_are_whole_and_readable() -> None:
    html = show(FRAME)._repr_html_()
    assert "<caption>" not in html
    assert "first_seen (UTC)</th>" in html
    assert "<span style='white-space:nowrap'>2026-09-02</span> <span" in html
    for text in (">44443<", ">1,234,567<", ">0.25<", ">True<", ">a, b<", f">{PATH}<"):
        assert text in html
    assert "NaN" not in html
    assert "NaT" not in html
    assert "NA" not in html


def test_a_hostile_text_is_escaped() -> None:
    shown = show(FRAME.rename(columns={"share": HOSTILE}))
    html = shown._repr_html_()
    assert "<script" not in html
    assert html.count(r"&lt;script&gt;alert(1)&lt;/script&gt;\x1b[2J") == 2
    assert "\x1b" not in repr(shown)


def test_the_caption_says_how_many_rows_are_left_out() -> None:
    many = pd.DataFrame({"count": range(1_200)})
    assert show(many, 3).caption == "The first 3 of 1,200 rows."
    assert repr(show(many, 2)).splitlines() == [
        "  count",
        "0     0",
        "1     1",
        "The first 2 of 1,200 rows.",
    ]
    assert show(many, 3)._repr_html_().count("<tr>") == 4
    assert "<caption>The first 3 of 1,200 rows.</caption>" in show(many, 3)._repr_html_()


def test_without_rows_there_is_a_sentence() -> None:
    none = show(FRAME.head(0), empty="No <b> here.")
    assert none._repr_html_() == "<p>No &lt;b&gt; here.</p>"
    assert repr(none) == "No <b> here."
    assert show(pd.DataFrame())._repr_html_() == "<p>None.</p>"


def test_texts_of_a_terminal_have_no_control_characters() -> None:
    ports = [443.0, None]
    rows = pd.DataFrame({"names": [["a\x1b[2J"], []], "line": ["b\x1b", None], "dstport": ports})
    assert "\x1b" not in repr(show(rows))
    assert repr(show(rows)).split("\n")[1].split() == ["0", "a\\x1b[2J", "b\\x1b", "443"]
