"""Principals of one name in two accounts: never taken for one another, anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbench import detect, export, report
from flowbench.case import Case
from flowbench.detect import LINKS, Findings
from flowbench.detect.grouping import findings_by_group
from flowbench.enrich import namesakes as n
from flowbench.errors import InputError
from flowbench.investigate import about, attribution, timeline
from flowbench.report.incident import summarize_incident
from tests.incident_case import api_event
from tests.traffic import T0, connect, make_case

ONE, OTHER = "111122223333", "999988887777"
INTRUDER, OFFICE, HOME = "198.51.100.7", "203.0.113.9", "192.0.2.44"
GHOST_KEY = {"accessKey": {"accessKeyId": "AKIAGHOST0000000", "userName": "ghost"}}
ADMIN = {"userName": "ghost", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}
DENY = '{"Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'

Event = dict[str, Any]


def call(event_id: str, name: str, at: int, arn: str, ip: str, **more: Any) -> Event:
    """A call of a user, session or root, recorded in its own account."""
    account, who = arn.split(":")[4], arn.split(":")[5]
    kind = {"root": "Root", "assumed-role": "AssumedRole"}.get(who.partition("/")[0], "IAMUser")
    key = f"{'AKIA' if kind == 'IAMUser' else 'ASIA'}{who.rpartition('/')[2].upper()}{account}"
    event = api_event(event_id, name, T0 + at, arn=arn, ip=ip, **{"key": key} | more)
    event["userIdentity"] |= {"type": kind, "accountId": account}
    if kind != "IAMUser":
        del event["userIdentity"]["userName"]
    if kind == "AssumedRole":
        issuer = {"type": "Role", "arn": f"arn:aws:iam::{account}:role/ci/{who.split('/')[1]}"}
        event["userIdentity"]["sessionContext"] = {"sessionIssuer": issuer}
    return event | {"recipientAccountId": account, "eventSource": "iam.amazonaws.com"}


def malicious(account: str) -> list[Event]:
    """Calls of eve (with a path), of a session of deploy, and of root."""
    eve = f"arn:aws:iam::{account}:user/ops/eve"
    deploy = f"arn:aws:sts::{account}:assumed-role/deploy/run1"
    role = ADMIN | {"roleName": "deploy"}
    del role["userName"]
    ghost = {"userName": "ghost"}
    return [
        call("m1", "CreateUser", 100, eve, INTRUDER, request=ghost),
        call("m2", "AttachUserPolicy", 160, eve, INTRUDER, request=ADMIN),
        call("m3", "CreateAccessKey", 200, eve, INTRUDER, request=ghost, response=GHOST_KEY),
        call("m4", "AttachRolePolicy", 300, deploy, INTRUDER, request=role),
        call("m5", "CreateAccessKey", 400, f"arn:aws:iam::{account}:root", INTRUDER),
    ]


def benign(account: str) -> list[Event]:
    """Routine of their namesakes, and what an administrator does to those."""
    eve, root = f"arn:aws:iam::{account}:user/eve", f"arn:aws:iam::{account}:root"
    deploy = f"arn:aws:sts::{account}:assumed-role/deploy/run1"
    admin = f"arn:aws:iam::{account}:user/admin"
    role = {"roleName": "deploy", "policyName": "stop", "policyDocument": DENY}
    events = [
        call(f"b{number}{name}", name, 50 + number * 100, arn, OFFICE, read=True)
        for number in range(5)
        for arn, name in ((eve, "ListUsers"), (deploy, "ListRoles"), (root, "ListAccessKeys"))
    ]
    return [
        *events,
        call("b-made", "CreateUser", 10, admin, OFFICE, request={"userName": "eve"}),
        call("b-gone", "DeleteUser", 900, admin, OFFICE, request={"userName": "eve"}),
        call("b-role", "PutRolePolicy", 910, admin, OFFICE, request=role),
    ]


def run(folder: Path, events: list[Event]) -> tuple[Case, Findings]:
    records = connect("10.0.0.5", "192.0.2.1", 443, T0, seconds=3600)
    case = make_case(folder, records, json_lines=events)
    return case, detect.run(case, only=["api-abuse", "service-abuse"])


@pytest.fixture(scope="module", params=[(ONE, OTHER), (OTHER, ONE)], ids=["first", "second"])
def two(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Case, Findings, str]:
    """A case of an account with an intruder and one without, and the intruder's account."""
    evil, good = request.param
    folder = tmp_path_factory.mktemp("two")
    return *run(folder, [*malicious(evil), *benign(good)]), evil


def named(account: str, *names: str) -> list[str]:
    return [n.qualify(name, account, {"eve", "deploy", "root"}) for name in names]


def test_findings_and_groups_are_of_one_account(two: tuple[Case, Findings, str]) -> None:
    case, findings, evil = two
    assert case.namesakes == {"eve", "deploy", "root"}
    eve, deploy, root = named(evil, "eve", "deploy", "root")
    assert {f.subject for f in findings.at_least("high")} == {eve, deploy, root}
    groups = findings_by_group(findings)
    for subject, ids in ((eve, ["m1", "m2", "m3"]), (deploy, ["m4"]), (root, ["m5"])):
        cited = [case.evidence_for(finding) for finding in groups[subject]]
        assert sorted({event for rows in cited for event in rows["event_id"]}) == ids
        assert {name for rows in cited for name in rows["principal_name"]} <= {
            "eve", "deploy/run1", "root",  # as recorded
        }  # fmt: skip
    others = [finding for finding in findings if INTRUDER not in finding.peers]
    assert {OFFICE} == {peer for finding in others for peer in finding.peers}
    (made,) = (finding for finding in others if finding.subject == "admin")
    good = OTHER if evil == ONE else ONE
    assert made.summary.startswith("admin called CreateUser")
    assert f"UTC: eve (account {good})." in made.summary


def test_ids_are_those_without_the_other_account(
    two: tuple[Case, Findings, str], tmp_path: Path
) -> None:
    _, findings, evil = two
    if evil != ONE:
        return
    _, alone = run(tmp_path, malicious(evil))
    assert {f.subject for f in alone} == {"eve", "deploy", "root"}
    assert {f.finding_id for f in alone} == {f.finding_id for f in findings if INTRUDER in f.peers}


def test_timelines_and_traces_are_of_one_account(two: tuple[Case, Findings, str]) -> None:
    case, findings, evil = two
    if evil != ONE:  # the report below has those of the other order
        return
    whole = timeline.build(case, findings=findings)
    assert set(whole.loc[whole["data_source"] == "CloudTrail", "evidence"]) == {
        f"m{number}" for number in range(1, 6)
    }
    arns = [f"arn:aws:iam::{evil}:{path}" for path in ("user/ops/eve", "role/ci/deploy", "root")]
    events = [["m1", "m2", "m3"], ["m4"], ["m5"]]
    names = named(evil, "eve", "deploy", "root")
    for text, name, ids in zip([names[0], *arns[1:]], names, events, strict=True):
        rows = timeline.build(case, text, findings)
        assert list(rows.loc[rows["data_source"] == "CloudTrail", "evidence"]) == ids
        assert set(rows["actor"]) <= {name, f"{name}/run1"}
        records = about.evidence(case, text)["cloudtrail"].to_pyarrow()["event_id"].to_pylist()
        assert records == ids
    assert about.addresses_of(case, about.resolve(case, arns[0])) == [INTRUDER]
    trace = attribution.trace(case, arns[0], findings=findings)
    assert {step.event_id for step in trace.steps} - {None} == set(events[0])


@pytest.mark.parametrize("name", ["eve", "deploy", "deploy/run1", "root"])
def test_a_name_alone_is_refused_with_those_to_choose_from(
    two: tuple[Case, Findings, str], name: str
) -> None:
    with pytest.raises(InputError, match="is a principal of 2 accounts") as raised:
        timeline.build(two[0], name, two[1])
    for account in (ONE, OTHER):
        assert named(account, name)[0] in str(raised.value)


def test_the_other_accounts_deletion_contains_nothing(two: tuple[Case, Findings, str]) -> None:
    case, findings, evil = two
    incident = summarize_incident(case, findings, [], LINKS.frame([]))
    assert incident is not None
    assert (incident.containment.status, list(incident.containment.done)) == ("unknown", [])
    eve, deploy, root = named(evil, "eve", "deploy", "root")
    assert [sentence.split(" were used")[0] for _, sentence in incident.happened] == [
        f"The credentials of {name}" for name in (eve, deploy, root)
    ]
    assert [left.rpartition(" of ")[2] for left in incident.remaining] == [
        f"{deploy}/run1", eve, root,
    ]  # fmt: skip


def test_report_and_exports_have_nothing_of_the_other_account(
    two: tuple[Case, Findings, str], tmp_path: Path
) -> None:
    case, findings, evil = two
    severe = findings.at_least("high")
    for form in ("indicators", "stix", "ocsf"):
        text = export.write(case, tmp_path / form, form, severe).read_text()
        assert OFFICE not in text
        assert (OTHER if evil == ONE else ONE) not in text
    if evil != OTHER:  # whose namesakes are the first in order
        return
    page = report.write(case, tmp_path / "report.html", findings=severe).read_text()
    assert named(evil, "eve")[0] in page
    assert OFFICE not in page


def test_two_users_of_one_name_do_not_change_networks(tmp_path: Path) -> None:
    events = [
        call(f"e{number}", "ListUsers", number * 300, f"arn:aws:iam::{account}:user/eve", ip)
        for number, (account, ip) in enumerate([(ONE, OFFICE), (OTHER, HOME)] * 4)
    ]
    _, findings = run(tmp_path, events)
    assert not findings


@pytest.mark.parametrize(
    ("arn", "principal"),
    [
        (f"arn:aws:iam::{ONE}:user/a/b/eve", (ONE, "user", "eve")),
        (f"arn:aws-cn:iam::{ONE}:role/deploy", (ONE, "role", "deploy")),
        (f"arn:aws:sts::{ONE}:assumed-role/deploy/x", (ONE, "session", "deploy/x")),
        (f"arn:aws:sts::{ONE}:federated-user/bob", (ONE, "user", "bob")),
        (f"arn:aws:iam::{ONE}:root", (ONE, "user", "root")),
        (f"arn:aws:iam::{ONE}:rooted", None),
        ("eve", None),
    ],
)
def test_arns(arn: str, principal: tuple[str, str, str] | None) -> None:
    assert n.parse_arn(arn) == principal
    assert n.name_of(arn, {"eve"}) == (
        arn if principal is None else n.qualify(principal[2], ONE, {"eve"})
    )


def events_of(*rows: tuple[str, str | None, str | None, str | None]) -> ibis.Table:
    """API events: type, name, account and user that they are about."""
    names = ["principal_type", "principal_name", "account_id", "target_user"]
    columns = {name: pa.array(values, pa.string()) for name, values in zip(names, zip(*rows))}  # noqa: B905
    columns["principal_arn"] = pa.nulls(len(rows), pa.string())
    return ibis.memtable(pa.table(columns))


def alerts_of(*rows: tuple[str, str]) -> ibis.Table:
    names, accounts = ([row[number] for row in rows] for number in (0, 1))
    return ibis.memtable(
        pa.table({
            "principal_name": pa.array(names, pa.string()),
            "principal_names": pa.array([[name] for name in names], pa.list_(pa.string())),
            "account_id": pa.array(accounts, pa.string()),
        })
    )  # fmt: skip


def test_which_names_several_accounts_have() -> None:
    events = events_of(
        ("IAMUser", "eve", ONE, None),
        ("IAMUser", "eve", None, None),  # unknown: no other account
        ("AWSService", "ec2.amazonaws.com", ONE, None),
        ("AWSService", "ec2.amazonaws.com", OTHER, None),
        ("IdentityCenterUser", "person", ONE, None),
        ("IdentityCenterUser", "person", OTHER, None),
        ("AssumedRole", "deploy/a", ONE, "bob"),
        ("AssumedRole", "deploy/b", OTHER, "fred (account 1)"),
    )
    found = n.find_namesakes(events, alerts_of(("bob", OTHER), ("eve", ONE)))
    assert found == {"deploy", "bob", "fred (account 1)"}
    shown = n.with_accounts(events, found).to_pyarrow().to_pylist()
    assert [row["principal_name"] for row in shown][-2:] == [
        f"deploy (account {ONE})/a",
        f"deploy (account {OTHER})/b",
    ]
    assert [row["target_user"] for row in shown][-2:] == [
        f"bob (account {ONE})",
        f"fred (account 1) (account {OTHER})",
    ]
    (alert, _) = n.with_alert_accounts(alerts_of(("bob", OTHER), ("x", ONE)), found).to_pyarrow(
    ).to_pylist()  # fmt: skip
    assert alert["principal_names"] == [alert["principal_name"]] == [f"bob (account {OTHER})"]


def test_a_user_named_as_tables_name_another_does_not_hide_it() -> None:
    events = n.with_accounts(
        rows := events_of(
            ("IAMUser", "eve", ONE, None),
            ("IAMUser", "eve", OTHER, None),
            ("IAMUser", f"eve (account {ONE})", ONE, None),
            ("IAMUser", f"eve (account {ONE})", OTHER, None),
        ),
        found := n.find_namesakes(rows, alerts_of()),
    )
    shown = f"eve (account {ONE})"
    assert n.choose_principal(shown, found, events, alerts_of()) == shown
    false = f"{shown} (account {OTHER})"
    assert n.choose_principal(false, found, events, alerts_of()) == false
    with pytest.raises(InputError, match="is a principal of 2 accounts"):
        n.choose_principal("eve", found, events, alerts_of())


@given(st.text("abc/ ()%\n1", max_size=12), st.sampled_from([ONE, "", None]))
def test_a_name_with_its_account_is_read_back(name: str, account: str | None) -> None:
    qualified = n.qualify(name, account, {name.partition("/")[0]})
    assert n.split_account(qualified) == (name, account or None)
