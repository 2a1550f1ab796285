"""How a playbook ends where the case lacks what it needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from flowbench import playbooks
from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.loaders import registry
from flowbench.playbooks.needs import SOURCES, EndOfPlaybook
from tests.traffic import T0, connect, make_case


def test_what_is_missing_is_named_with_the_remedy(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect("10.0.0.5", "203.0.113.1", 443, T0))
    playbooks.require(case, "flows")
    with pytest.raises(EndOfPlaybook) as error:
        playbooks.require(case, "flows", "api_events", "dns")
    assert str(error.value) == (
        "the case has no CloudTrail events and no DNS query logs of Route 53 Resolver."
        " Load them with `flowbench ingest`."
    )


def test_files_that_were_not_recognised_are_named(tmp_path: Path) -> None:
    for name in ("zeek\x1b[2J.log", "netflow.csv"):
        (tmp_path / name).write_text(f"#fields\tts\tuid\n1\t{len(name)}\n")
    case = Case.create(tmp_path / "case")
    case.ingest(tmp_path / "zeek\x1b[2J.log", tmp_path / "netflow.csv")
    with pytest.raises(EndOfPlaybook) as error:
        playbooks.require(case, "flows")
    assert str(error.value).endswith(
        "2 files were not recognised, which case.quarantine explains:"
        " netflow.csv, zeek\\x1b[2J.log."
    )


def test_what_a_playbook_can_do_without_is_stated(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect("10.0.0.5", "203.0.113.1", 443, T0))
    assert playbooks.describe_missing(case, "flows") == (
        "The case has every kind of evidence that this playbook uses."
    )
    assert playbooks.describe_missing(case, "flows", "indicators", "api_events") == (
        "Not in the case: indicator lists and CloudTrail events."
        " What rests on it stays empty below."
    )
    with pytest.raises(InputError, match="payload: a playbook can need flows, "):
        playbooks.describe_missing(case, "payload")


def test_a_source_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="payload: a playbook can need flows, "):
        playbooks.require(Case.create(tmp_path / "case"), "payload")


def test_sources_are_tables_that_loading_fills() -> None:
    assert set(SOURCES) <= set(registry.tables())


def test_a_notebook_shows_the_reason_without_a_traceback(capsys) -> None:
    shell = InteractiveShell()
    result = shell.run_cell("from flowbench import playbooks; playbooks.end('nothing is left.')")
    assert isinstance(result.error_in_exec, EndOfPlaybook)
    assert capsys.readouterr().out.strip() == "This playbook ends here: nothing is left."
