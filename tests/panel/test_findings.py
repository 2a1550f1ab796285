"""The triage: decisions are written, findings move, and a new panel has it all again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import flowbench as fb
from flowbench import detect
from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.panel import FindingsTriage


def act(panel: FindingsTriage, action: str, reason: str = "", tag: str = "") -> str:
    """Fill the form, press a button, and return the message."""
    panel.form.reason.value, panel.form.tag.value = reason, tag
    panel.form.buttons[action].click()
    return re.sub("<[^>]+>", "", panel._message.value)


def test_a_decision_is_written_and_the_next_finding_opened(incident: Case) -> None:
    panel = fb.panel.findings(incident)
    first, second, *_ = panel.list.ids
    panel.list.options.value = first
    assert panel.state.finding == first
    assert "the reason of a decision is empty" in act(panel, "dismissed")
    assert act(panel, "dismissed", "the lab's miner") == f"{first} is dismissed."
    entry = incident.decisions[-1]
    assert (entry["finding_id"], entry["reason"]) == (first, "the lab's miner")
    assert first not in panel.list.ids
    assert panel.state.finding == second
    assert act(panel, "confirmed") == f"{second} is confirmed."
    again = fb.panel.findings(Case.open(incident.path), decision="any", finding=first)
    assert {f.finding_id: f.decision for f in again.findings.all} == {
        f.finding_id: f.decision for f in panel.findings.all
    }
    assert again.finding is not None
    assert again.finding.decision == "dismissed"
    assert "the lab&#x27;s miner" in again.details.value


def test_undo_is_a_later_decision(incident: Case) -> None:
    panel = fb.panel.findings(incident)
    assert panel._undo.layout.display == "none"
    chosen = panel.list.ids[0]
    panel.list.options.value = chosen
    act(panel, "dismissed", "a mistake")
    panel._undo.click()
    assert [d["decision"] for d in incident.decisions] == ["dismissed", "reopened"]
    assert panel.state.finding == chosen
    assert chosen in panel.list.ids
    assert panel._undo.layout.display == "none"


def test_stars_tags_and_notes(incident: Case) -> None:
    panel = fb.panel.findings(incident)
    chosen = panel.list.ids[0]
    panel.list.options.value = chosen
    act(panel, "star")
    act(panel, "tag", tag="owner")
    act(panel, "note", "<b>called</b>")
    assert incident.marks[chosen]["starred"]
    assert incident.marks[chosen]["tags"] == ["owner"]
    assert incident.notes[-1]["about"] == chosen
    assert "&lt;b&gt;called&lt;/b&gt;" in panel.details.value
    assert panel.list.options.options[0][0].startswith("★ ")
    act(panel, "untag", tag="owner")
    act(panel, "star")
    assert chosen not in incident.marks
    assert "is no tag" in act(panel, "tag", tag=" ")


def test_an_allow_list_suppresses_like_findings_at_once(incident: Case) -> None:
    panel = fb.panel.findings(incident)
    chosen = next(f for f in panel.findings if f.detector == "mining")
    panel.state = fb.panel.findings(incident, finding=chosen.finding_id).state
    panel.allow_list.reason.value = "our own pool"
    panel.allow_list.button.click()
    assert "1 finding suppressed by the allow list in " in panel._message.value or (
        "2 findings suppressed by the allow list in " in panel._message.value
    )
    assert chosen.finding_id not in panel.list.ids
    assert "new evidence: allow-list-" in panel._hint.value
    again = fb.panel.findings(incident, decision="suppressed", finding=chosen.finding_id)
    assert again.finding is not None
    assert again.finding.suppression_reason == "our own pool"
    act(again, "reopened", "it is not ours")
    assert chosen.finding_id in fb.panel.findings(incident).list.ids


def test_supporting_records_are_read_when_they_are_to_be_seen(incident: Case) -> None:
    panel = fb.panel.findings(incident)
    panel.list.options.value = next(
        f.finding_id for f in panel.findings if f.detector == "lateral-movement"
    )
    assert panel.records.value == ""
    panel.parts.selected_index = 0
    assert "Records 1 to 8 of 8" in panel.records.value
    assert ">flows.log</td>" in panel.records.value
    assert (panel._earlier.disabled, panel._later.disabled) == (True, True)


def test_pages_of_records(incident: Case) -> None:
    panel = fb.panel.findings(incident)
    tor = next(f for f in panel.findings if "tor" in f.title)
    panel.list.options.value = tor.finding_id
    panel.parts.selected_index = 0
    panel._later.click()
    assert "Records 26 to 50 of 144" in panel.records.value
    assert panel.state.page == 1
    panel._earlier.click()
    assert "Records 1 to 25 of 144" in panel.records.value


def test_the_detectors_run_where_no_run_is_kept(tmp_path: Path, few_detectors: None) -> None:
    panel = fb.panel.findings(Case.create(tmp_path / "case"))
    assert "keeps no findings" in panel._hint.value
    assert (panel.list.ids, panel.finding) == ([], None)
    panel._run.click()
    assert "The detectors report 0 findings." in panel._message.value
    assert panel._hint.value == ""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"severity": "worst"}, "no severity is called worst; there are: low, medium"),
        ({"detector": "x"}, "no detector is called x"),
        ({"decision": "x"}, "no decision is called x; there are: open, confirmed"),
        ({"finding": "x"}, "0 findings of the last run .* begin with 'x'"),
    ],
)
def test_wrong_arguments(incident: Case, given: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fb.panel.findings(incident, **given)


def test_code_makes_the_same_view(incident: Case) -> None:
    panel = fb.panel.findings(incident, severity="medium", decision="any")
    panel.list.options.value = panel.list.ids[-1]
    again = eval(panel.state.to_code(), {"fb": fb, "case": incident})
    assert again.state == panel.state
    assert again.details.value == panel.details.value


def test_a_damaged_run_is_told(incident: Case) -> None:
    (file,) = (incident.path / "findings").glob("*.parquet")
    file.write_bytes(b"")
    panel = fb.panel.findings(incident)
    assert "were changed since" in panel._hint.value
    assert len(panel.findings) == 0
    assert detect.Findings() == panel.findings
