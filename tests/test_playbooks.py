"""Each playbook, on a case with every kind of evidence, on flow logs alone, and on nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbclient
import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from flowbench import playbooks
from flowbench.case import Case
from flowbench.playbooks.needs import EndOfPlaybook
from flowbench.playbooks.parameters import set_parameters
from tests.conftest import ROOT
from tests.incident_case import DATABASE, HOST, POOL, make_incident_case
from tests.traffic import T0, connect, make_case

NAMES = [playbook.name for playbook in playbooks.list_playbooks()]
POLICY = """
groups:
  host: {addresses: [10.0.0.5]}
rules:
  - {name: no pool, from: host, to: external, ports: 3333, verdict: deny}
countries:
  deny: [CH]
"""
COUNTRIES = "203.0.113.0,203.0.113.255,CH\n"
PARAMETERS = {"troubleshooting": {"source": HOST, "destination": DATABASE, "port": "5432"}}
FACTS = {  # what a playbook states of the case with every kind of evidence
    "beaconing": "The following sections examine",
    "coverage-and-cost": "24 of 28 are not verified.",
    "crypto-mining": f"The following sections examine {HOST} and {POOL}: the most severe finding.",
    "exfiltration": f"The following sections examine {HOST}: no finding, but the most bytes sent.",
    "geo-restrictions": f"The following sections examine {HOST}: the host of the most severe"
    " finding. Findings about it: 1.",
    "guardduty-triage": "confirmed",
    "iam-abuse": "The following sections examine",
    "lateral-movement": f"The following sections examine {HOST}: ",
    "port-scan": f"The following sections examine {HOST}: no finding, but the most failed"
    " attempts.",
    "remote-access": "no connection from an external address to an administrative port was"
    " answered.",
    "retro-hunt": f"UTC: 1 ({HOST}).",
    "segmentation": f"The following sections examine {HOST} and {POOL}, port 3333.",
    "spike": f"The following sections examine {HOST} in the hour from ",
    "troubleshooting": f"The question: why can {HOST} not reach {DATABASE}, port 5432, tcp?",
}
# How a playbook ends on the flow logs alone, if it does: by nothing that is there to be shown.
ENDS = {
    "crypto-mining": "no mining traffic is reported, and no outbound connection lasted an hour.",
    "retro-hunt": "no indicator is given or loaded, and no host answered an external address at the"
    " ports 22, 3389.",
    "geo-restrictions": "no external address of the case has a known country.",
    "guardduty-triage": "the case has no GuardDuty findings. Load them with `flowbench ingest`.",
    "iam-abuse": "the case has no CloudTrail events. Load them with `flowbench ingest`.",
    "lateral-movement": "no internal connection was rejected, and no detector reported one.",
    "port-scan": "every service of an internal host that was tried has answered.",
    "remote-access": "no connection from an external address to an administrative port was"
    " answered.",
    "segmentation": "the case has no segmentation policy. Give a file with"
    " `--param policy=FILE`, or keep one with `flowbench segmentation CASE FILE --keep`.",
    "troubleshooting": "every service that an internal host tried has answered."
    " Give source, destination and port.",
}


# What a process of the tests sets, so that queries are compiled once there, too.
SETTINGS = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import tests.conftest"


class Run(NamedTuple):
    """What the cells of a notebook output, and the reason for which it ended early."""

    text: str
    ended: str | None


class Kernel:
    """One kernel for all notebooks: to start one takes longer than to run a playbook."""

    def __init__(self, client: nbclient.NotebookClient) -> None:
        self.client = client

    def run(self, name: str, case: Case, parameters: dict[str, str] | None = None) -> Run:
        node = nbformat.read(playbooks.find_playbook(name), as_version=4)
        set_parameters(node, {"case": str(case.path), **(parameters or {})})
        node.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
        self.client.nb = node
        try:
            for index, cell in enumerate(node.cells):
                self.client.execute_cell(cell, index)
        except CellExecutionError as error:
            if error.ename != EndOfPlaybook.__name__:
                raise
            return Run(_text(node), str(error.evalue))
        return Run(_text(node), None)


def _text(node: nbformat.NotebookNode) -> str:
    outputs = [output for cell in node.cells for output in cell.get("outputs", ())]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    return "\n".join(str(each.get("text", "")) + str(each.get("data", "")) for each in outputs)


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    with tempfile.TemporaryDirectory() as sockets:
        client = nbclient.NotebookClient(
            nbformat.v4.new_notebook(), kernel_name="python3", timeout=120
        )
        manager = client.create_kernel_manager()
        manager.transport, manager.ip = "ipc", f"{sockets}/kernel"
        with client.setup_kernel():
            client.nb.cells = [nbformat.v4.new_code_cell(SETTINGS)]
            client.execute_cell(client.nb.cells[0], 0)
            yield Kernel(client)


@pytest.fixture(scope="module")
def incident(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("incident")
    case = make_incident_case(folder)
    countries = folder / "countries.csv"
    countries.write_text(COUNTRIES, encoding="utf-8")
    case.ingest(countries)
    case.set_policy(POLICY)
    return case


@pytest.fixture(scope="module")
def flows_only(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(
        tmp_path_factory.mktemp("flows"),
        connect(HOST, "192.0.2.9", 443, T0),
    )


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case.create(tmp_path_factory.mktemp("empty") / "case")


@pytest.mark.parametrize("name", NAMES)
def test_it_states_the_facts(kernel: Kernel, incident: Case, name: str) -> None:
    run = kernel.run(name, incident, PARAMETERS.get(name))
    assert FACTS[name] in run.text + str(run.ended)
    assert (run.ended is None) == (name != "remote-access")


@pytest.mark.parametrize("name", NAMES)
def test_flow_logs_alone_say_what_is_missing(kernel: Kernel, flows_only: Case, name: str) -> None:
    run = kernel.run(name, flows_only)
    assert run.ended == ENDS.get(name)
    assert "Not in the case: " in run.text or "Load them" in str(run.ended)


@pytest.mark.parametrize("name", NAMES)
def test_it_ends_without_evidence(kernel: Kernel, empty: Case, name: str) -> None:
    missing = {"iam-abuse": "CloudTrail events", "guardduty-triage": "GuardDuty findings"}
    reason = f"the case has no {missing.get(name, 'VPC flow logs')}."
    run = kernel.run(name, empty)
    assert run.ended == f"{reason} Load them with `flowbench ingest`."


def test_a_hunt_separates_contacts_by_the_day_of_disclosure(kernel: Kernel, incident: Case) -> None:
    day = f"{incident.span[1]:%Y-%m-%dT%H:%M:%S}"
    given = {"indicators": f"['{POOL}']", "ports": "[3333]", "date": day}
    text = kernel.run("retro-hunt", incident, given).text
    assert "Indicators searched: 1." in text
    assert f"Hosts in contact before {day[:10]} {day[11:16]} UTC: 1 ({HOST})." in text
    assert "UTC: 0 (none)." in text


def test_a_spike_is_compared_with_the_other_hours(kernel: Kernel, tmp_path: Path) -> None:
    hour = 3_600
    times = [T0 + i * hour for i in range(30)]
    quiet = (record for at in times for record in connect(HOST, "192.0.2.9", 443, at, out=1_000))
    burst = connect(HOST, "192.0.2.77", 443, times[26], out=900_000_000)
    text = kernel.run("spike", make_case(tmp_path, [*quiet, *burst])).text
    assert "bytes_sent: 900,001,000 in it; 1,000 in the median of its 30 hours" in text
    assert "The same hour of other days with traffic: 1; the largest had 1,000." in text
    assert "Of these, first seen in it: 1, to which 900,000,000 bytes went." in text
    assert "Traffic spike" in text
