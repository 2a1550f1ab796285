"""The report about principals that the case knows, and about one that it does not."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.detect import Findings
from flowbench.detect.detectors import api_abuse
from flowbench.detect.finding import Traffic, make_finding
from flowbench.report.principals import describe_principal
from tests.incident_case import CALLER, KEY, api_event, make_api_events
from tests.traffic import T0, make_case

AT = pd.Timestamp("2026-09-01", tz="UTC")
TRAFFIC = Traffic((), None, AT, AT + pd.Timedelta(hours=1), 0, 0, 0)


def findings(subject: str) -> Findings:
    return Findings([
        make_finding(
            api_abuse.DETECTOR, subject, [CALLER], TRAFFIC,
            severity="high", score=1, summary="", caveats="",
        )
    ])  # fmt: skip


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    hostile = api_event("e99", "CreateUser", T0, arn="arn:aws:iam::111122223333:user/<b>x")
    one, other = (f"arn:aws:iam::{n}:user/twin" for n in ("111122223333", "999988887777"))
    twins = [
        api_event("t1", "CreateUser", T0, arn=one, key="AKIAONE"),
        api_event("t2", "CreateRole", T0, arn=other, key="AKIAOTHER")
        | {"recipientAccountId": "999988887777"},
    ]
    rows = [*make_api_events(), hostile, *twins]
    return make_case(tmp_path_factory.mktemp("principals"), [], json_lines=rows)


def test_who_created_it_and_what_came_of_it(case: Case) -> None:
    section = describe_principal(case, "eve", findings("eve"))
    assert dict(section.facts) == {
        "principal": "eve",
        "access keys": KEY,
        "source addresses": CALLER,
        "created by": "ada",
    }
    text = " ".join(section.sentences)
    for part in ("ada called CreateUser", "eve is the subject of 1 finding of high", "i-0aaaa1111"):
        assert part in text
    assert section.steps


def test_markup_in_a_name_is_text_in_the_figure(case: Case) -> None:
    section = describe_principal(case, "<b>x", findings("<b>x"))
    assert "<b>x" not in section.figures[0].to_html(include_plotlyjs=False)


def test_an_unknown_principal(tmp_path: Path) -> None:
    section = describe_principal(Case.create(tmp_path / "case"), "nobody", findings("nobody"))
    assert (section.facts, section.steps, section.figures) == ([("principal", "nobody")], (), [])


def test_a_namesake_in_another_account_is_not_blamed(case: Case) -> None:
    twin = "twin (account 111122223333)"
    section = describe_principal(case, twin, findings(twin))
    assert section.sentences[1] == (
        "Principals of other accounts have the same name: twin (account 999988887777)."
    )
    facts = dict(section.facts)
    assert (facts["principal"], facts["access keys"]) == (twin, "AKIAONE")
    assert [step.event_id for step in section.steps if step.step == "principal activity"] == ["t1"]
    assert len(section.figures) == 1


def test_a_name_of_several_accounts_has_no_attribution(case: Case) -> None:
    assert not describe_principal(case, "twin", findings("twin")).steps
