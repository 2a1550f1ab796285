"""What commands print on a pseudo-terminal of 80, 100, 120 and 160 columns: whole values only.

Each command runs once; the tables that it prints are then printed at each width.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from rich.cells import cell_len

from flowbench import detect
from flowbench.case import Case
from flowbench.cli import main, output
from flowbench.cli.table import lay_out
from tests.cli.running import on_terminal, run_on_terminal
from tests.incident_case import EXIT, HOST

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="terminals are POSIX")

WIDTHS = (80, 100, 120, 160)
COMMANDS = (
    ("info",),
    ("coverage",),
    ("quarantine",),
    ("flows",),
    ("flows", "--rejected"),
    ("events",),
    ("addresses",),
    ("addresses", HOST),
    ("dns",),
    ("dns", "--missing"),
    ("dns", "--resolved"),
    ("findings",),
    ("findings", "--history"),
    ("findings", "--runs"),
    ("connections",),
    ("graph",),
    ("timeline",),
    ("corroborate",),
    ("corroborate", "--unreported"),
    ("note",),
    ("hunt", "LIST"),
    ("segmentation", "POLICY"),
    ("segmentation", "POLICY", "--show", "rules"),
)
# An address, a time, an id or a number with separators: what must not be cut.
VALUE = re.compile(
    r"\d{1,3}(?:\.\d{1,3}){3}|\d{4}-\d\d-\d\dT[\d:.]+Z|[0-9a-f]{16}|eni-[0-9a-z]+|[\d,]{4,}"
)


@pytest.fixture(scope="module")
def kept(incident_case: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The incident with a run of the detectors and a note, a list and a policy beside it."""
    folder = tmp_path_factory.mktemp("terminal")
    shutil.copytree(incident_case, folder / "case")
    (folder / "list.txt").write_text(f"{EXIT}\n")
    (folder / "policy.yaml").write_text(
        f"groups: {{host: {{addresses: {HOST}}}}}\n"
        "rules: [{from: host, to: external, verdict: deny}]\ncountries: {deny: [US]}\n"
    )
    case = Case.open(folder / "case")
    case.decide(detect.run(case)[0], "confirmed", f"{EXIT} is no service of ours. " * 5)
    return {
        "CASE": case.path,
        "LIST": folder / "list.txt",
        "POLICY": folder / "policy.yaml",
    }


@pytest.fixture
def run_once(kept: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the timeline use the findings that the case keeps."""
    findings = detect.history.last_run(Case.open(kept["CASE"])).findings
    monkeypatch.setattr(detect, "run", lambda *_args, **_options: findings)


@pytest.mark.usefixtures("run_once")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_values_are_whole(
    kept: dict[str, Path], command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = tables_of(kept, command, monkeypatch)
    assert tables or command == ("quarantine",)
    for rows, columns in tables:
        records = list(output._read_records(rows.to_batches()))
        header, *lines = lay_out(records, dict.fromkeys(columns, False), None).lines
        whole = set(VALUE.findall(" ".join(lines)))
        for width in WIDTHS:
            shown = on_terminal(
                width, lambda r=rows, c=columns: output.write(r.to_reader(), "table", columns=c)
            )
            assert all(cell_len(line) <= width for line in shown.splitlines()), shown
            names, _, rest = shown.partition("\n")
            cells, _, note = rest.partition("not shown at")
            assert set(VALUE.findall(cells)) <= whole
            assert set(names.split()) | set(re.findall(r"\w+", note)) >= set(header.split())


def print_table(rows: pa.Table, columns: list[str]) -> None:
    output.write(rows.to_reader(), "table", columns=columns)


def tables_of(
    kept: dict[str, Path], command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> list[tuple[pa.Table, list[str]]]:
    """Run a command on a terminal, and return the tables that it prints, with their columns."""
    tables = []

    def write(data, *_args: object, columns: list[str] | None = None) -> None:
        schema, batches = output._to_batches(data)
        tables.append((pa.Table.from_batches(batches, schema), list(columns or schema.names)))

    name, *arguments = (kept.get(word, word) for word in command)
    with monkeypatch.context() as patch:
        patch.setattr(output, "write", write)
        run_on_terminal(80, name, kept["CASE"], *arguments)
    return tables


def test_findings_by_host(kept: dict[str, Path]) -> None:
    findings = detect.history.last_run(Case.open(kept["CASE"])).findings
    whole = on_terminal(2_000, lambda: output.print_groups(findings))
    for width in WIDTHS:
        shown = on_terminal(width, lambda: output.print_groups(findings))
        assert all(cell_len(line) <= width for line in shown.splitlines()), shown
        assert set(VALUE.findall(shown)) == set(VALUE.findall(whole))
        assert shown.startswith(f"{HOST}  ")


def test_every_command_with_a_limit_is_tried() -> None:
    options = {name: {p.name for p in command.params} for name, command in main.commands.items()}
    limited = {name for name, names in options.items() if "limit" in names}
    assert limited - {"evidence"} <= {command[0] for command in COMMANDS}
