"""The result of an attribution: summary, table and HTML."""

from __future__ import annotations

from datetime import UTC, datetime

from flowbench.investigate.trace import STEPS, TRACE, Step, Trace

AT = datetime(2026, 9, 1, 12, 30, 15, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\u202e"


def a_trace() -> Trace:
    return Trace(
        "10.0.0.5",
        (
            Step("address", "Address 10.0.0.5 is traced.", "10.0.0.5"),
            Step("gap", "No inventory lists it."),
            Step("instance", f"Named {HOSTILE}.", "i-1", None, None, "enis.json", "e" * 16, 3, 1),
            Step("creation", "RunInstances.", "e1", AT, "e1", "trail.json", "f" * 16, 1, 2),
            Step("created by", "A failed call.", None, AT, "e2"),
            Step("created by", "A call.", "arn:ada", AT, "e3"),
        ),
    )


def test_the_summary_names_what_was_established() -> None:
    assert a_trace().summary() == {
        "address": "10.0.0.5",
        "interface": None,
        "instance": "i-1",
        "creation_event": "e1",
        "created_at": "2026-09-01T12:30:15+00:00",
        "principal": None,
        "access_key": None,
        "source_address": None,
        "principal_created_by": "arn:ada",
    }


def test_steps_by_kind() -> None:
    trace = a_trace()
    assert trace.gaps == ["No inventory lists it."]
    assert trace.event_ids("creation", "created by") == ["e1", "e2", "e3"]
    assert trace.of("principal") == []
    assert {step.step for step in trace.steps} <= set(STEPS)
    assert repr(trace) == "<Trace of 10.0.0.5: 6 steps, 1 gaps>"


def test_the_table() -> None:
    rows = a_trace().to_pandas()
    assert list(rows.columns) == TRACE.columns
    assert rows["time"].iloc[3] == AT
    assert rows["line"].iloc[2] == 3
    assert list(Trace("10.0.0.5", ()).to_pandas().columns) == TRACE.columns


def test_html_is_escaped_and_sets_no_colours() -> None:
    html = a_trace()._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e" in html
    assert html.count("<tr>") == 7
    assert "event e1 (trail.json, line 1)" in html
    assert "2026-09-01 12:30:15" in html
    assert "color" not in html
