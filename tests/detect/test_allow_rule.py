"""Allow lists made from findings: exact text, what they cover, and that a case keeps them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flowbench import detect
from flowbench.detect import history
from flowbench.detect.allow_rule import make_rule, rule_path, suppress_kept, write_rule
from flowbench.errors import CaseError, InputError
from tests.detect.examples import example_finding
from tests.traffic import T0, connect, make_case

HOST, OTHER, BAD, WORSE = "10.0.0.5", "10.0.0.6", "203.0.113.50", "198.51.100.9"
LISTED = f"indicator,kind,feed\n{BAD},c2,feed\n{WORSE},c2,feed\n"


def test_the_text_names_every_peer_with_the_port() -> None:
    finding = example_finding(["203.0.113.5", "2001:db8::9"])
    rule = make_rule(finding, "peers and port", "ticket 7:\n# kind: c2\nours")
    assert rule.text == (
        f"# feed: allow list of {finding.finding_id}\n"
        "# kind: allow\n"
        "# reason: ticket 7: # kind: c2 ours\n"
        "indicator,port\n"
        "2001:db8::9,443\n"
        "203.0.113.5,443\n"
    )
    assert make_rule(finding, "peers", "x").text.endswith("\n2001:db8::9,\n203.0.113.5,\n")
    assert make_rule(finding, "subject", "x").text.endswith("\nindicator,port\n10.0.0.5,\n")


def test_what_a_rule_covers() -> None:
    finding = example_finding(["203.0.113.5", "203.0.113.6"])
    rule = make_rule(finding, "peers and port", "x")
    like = example_finding(["203.0.113.6"], subject="10.0.0.7")
    assert [rule.covers(f) for f in (finding, like)] == [True, True]
    more = example_finding(["203.0.113.5", "203.0.113.7"])
    other_port = example_finding(["203.0.113.5"], ports=(80,))
    unnamed = replace(finding, peers_complete=False)
    assert [rule.covers(f) for f in (more, other_port, unnamed)] == [False, False, False]
    assert make_rule(finding, "peers", "x").covers(other_port)
    subject = make_rule(finding, "subject", "x")
    assert [subject.covers(f) for f in (finding, more, unnamed, like)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("changes", "covers", "message"),
    [
        ({}, "everything", "covers one of: peers and port, peers, subject"),
        ({"ports": (443, 80)}, "peers and port", "no single service port"),
        ({"subject": "arn:aws:iam::1:user/x\n10.0.0.9"}, "subject", "cannot name the subject"),
        ({"subject": "10.0.0.5%vpc-0a"}, "subject", "cannot name the subject"),
        ({"peers": ()}, "peers", "cannot name the peers"),
        ({"peers_complete": False}, "peers", "may have more peers"),
    ],
)
def test_what_no_rule_can_be_made_of(changes: dict, covers: str, message: str) -> None:
    finding = example_finding(**changes)
    with pytest.raises(InputError, match=message):
        make_rule(finding, covers, "because")


def test_a_rule_needs_a_reason() -> None:
    with pytest.raises(InputError, match="the reason of the allow list is empty"):
        make_rule(example_finding(), "peers", " \n")


@pytest.mark.usefixtures("few_detectors")
def test_a_written_rule_suppresses_kept_and_new_findings(tmp_path: Path) -> None:
    records = [*connect(HOST, BAD, 443, T0), *connect(OTHER, BAD, 443, T0)]
    case = make_case(tmp_path, [*records, *connect(HOST, WORSE, 443, T0)], indicators=LISTED)
    findings = detect.run(case)
    finding = next(f for f in findings if (f.subject, f.peer) == (HOST, BAD))
    before = history.last_run(case)
    assert before is not None
    assert suppress_kept(case, before) is before.findings
    rule = make_rule(finding, "peers and port", "our sandbox")
    path = rule_path(case, rule)
    assert write_rule(case, rule) == path
    assert path.read_text(encoding="utf-8") == rule.text
    listed = case.evidence.iloc[-1]
    assert (listed["file"], listed["records"]) == (f"allow-list-{rule.finding_id}.txt", 1)
    kept = history.last_run(case)
    assert kept is not None
    for found in (suppress_kept(case, kept), detect.run(case)):
        assert [(f.subject, f.peer) for f in found] == [(HOST, WORSE)]
        suppressed = [(f.subject, f.suppressed_by, f.suppression_reason) for f in found.suppressed]
        assert sorted(suppressed) == [(host, rule.name, "our sandbox") for host in (HOST, OTHER)]
    assert case.verify()["ok"].all()
    assert case.quarantine.count().execute() == 0
    # A later decision about one of them shows it again.
    suppressed = next(f for f in found.suppressed if f.subject == HOST)
    case.decide(suppressed, "reopened", "it is not ours")
    shown = detect.run(case)
    assert {f.peer for f in shown if f.subject == HOST} == {BAD, WORSE}
    assert [f.subject for f in shown.suppressed] == [OTHER]


def test_a_case_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(HOST, BAD, 443, T0))
    (case.path / "evidence").write_text("")
    with pytest.raises(CaseError, match="cannot write to"):
        write_rule(case, make_rule(example_finding(), "peers", "x"))
