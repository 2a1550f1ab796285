"""Tests of what commands share: help, errors, exit codes, options."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from flowbench.case import Case
from flowbench.cli import COMMANDS, common, main
from flowbench.cli import output as results
from flowbench.cli.common import COLUMNS_HELP, CommandGroup, Output, output_options
from flowbench.errors import InputError
from tests.cli.running import run

FORMER_WORDS = ["grave", "told", "door", "knock", "outside", "inside", "hidden", "story"]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_help(command: click.Command) -> None:
    assert command.name is not None
    result = run(command.name, "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 4
    words = set(result.output.lower().replace(".", " ").replace(",", " ").split())
    assert words.isdisjoint(FORMER_WORDS)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.help.endswith((".", ")", "]")) or "]" in parameter.help


def test_commands_are_listed_in_the_order_of_work() -> None:
    assert list(main.commands) == [command.name for command in COMMANDS]
    help_text = run("--help").output
    assert help_text.index("  new ") < help_text.index("  ingest ") < help_text.index("  detect ")
    assert "..." not in help_text.partition("Commands:")[2]


def test_each_command_is_in_the_file_of_its_name() -> None:
    for command in COMMANDS:
        assert command.callback is not None
        module = command.callback.__module__.rpartition(".")[2]
        assert module.replace("_", "-") == command.name


@pytest.fixture(scope="module")
def empty_case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Case.create(tmp_path_factory.mktemp("long") / "case").path


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InputError("a\x1b[31m"), "flowbench: a\\x1b[31m\n"),
        (KeyboardInterrupt(), "flowbench: stopped\n"),
        (RuntimeError("Query interrupted"), "flowbench: stopped\n"),
    ],
)
def test_errors_are_one_line(error: BaseException, message: str) -> None:
    group = CommandGroup()

    @group.command("fail")
    def fail() -> None:
        raise error

    result = CliRunner().invoke(group, ["fail"])
    assert result.stderr == message
    assert result.exit_code == (2 if isinstance(error, InputError) else 130)


@pytest.mark.parametrize(
    "words",
    [
        *("LONG", "new LONG", "info LONG", "evidence CASE LONG", "hunt CASE LONG"),
        *("ingest CASE LONG", "timeline CASE --from LONG"),
    ],
)
def test_no_error_repeats_a_long_argument_whole(empty_case: Path, words: str) -> None:
    texts = {"LONG": "x" * 50_000, "CASE": str(empty_case)}
    result = run(*(texts.get(word, word) for word in words.split()))
    assert result.exit_code == 2
    assert 20 < len(result.stderr) < 900


def test_errors_of_the_program_are_not_swallowed() -> None:
    group = CommandGroup()

    @group.command("fail")
    def fail() -> None:
        raise ZeroDivisionError

    assert isinstance(CliRunner().invoke(group, ["fail"]).exception, ZeroDivisionError)


def test_errors_of_the_program_are_exit_code_70(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(common, "_interrupt_queries_on_sigint", lambda: None)
    group = CommandGroup()

    @group.command("fail")
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(SystemExit) as end:
        group(["fail"])
    assert end.value.code == 70
    errors = capsys.readouterr().err
    assert "ZeroDivisionError" in errors
    assert errors.endswith("please report it with the lines above\n")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_wrong_input_is_exit_code_2(tmp_path: Path, command: click.Command) -> None:
    if command.name == "lab":  # it passes options on to JupyterLab
        return
    assert run(command.name, "--no-such-option").exit_code == 2
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    if not any(p.name == "case" for p in arguments) or command.name == "new":
        return
    (tmp_path / "notes.md").write_text("Nothing of any kind.\n")
    others = [tmp_path / "notes.md" for p in arguments if p.name != "case" and p.required]
    for option in command.params:
        if isinstance(option, click.Option) and option.required:
            assert isinstance(option.type, click.Choice)
            others += [option.opts[0], option.type.choices[0]]
    result = run(command.name, tmp_path / "nowhere", *others)
    assert result.exit_code == 2
    assert "is not a case" in result.stderr


def test_a_damaged_table_is_no_stack_trace(loaded: Path) -> None:
    part = next((loaded / "tables" / "flows").iterdir())
    part.write_bytes(b"PAR1" + b"x" * 200 + b"PAR1")
    result = run("flows", loaded)
    assert result.exit_code == 2
    assert "the case's tables cannot be read" in result.stderr
    part.unlink()
    assert run("info", loaded).exit_code == 2


def test_unknown_commands_are_exit_code_2() -> None:
    assert run("frobnicate").exit_code == 2


def test_output_options_give_the_command_an_output(tmp_path: Path) -> None:
    given = []

    @click.command()
    @output_options
    def command(out: Output) -> None:
        given.append(out)

    for words in ([], ["--format", "csv"], ["-o", str(tmp_path / "x")]):
        assert CliRunner().invoke(command, words).exit_code == 0
    assert [out.is_terminal for out in given] == [True, False, False]
    assert CliRunner().invoke(command, ["--format", "xml"]).exit_code == 2
    choices = next(p.type.choices for p in command.params if p.name == "output_format")
    assert tuple(choices) == results.FORMATS


def test_the_help_of_columns_names_columns_that_lists_have() -> None:
    from flowbench.loaders.intel.list_columns import column_map

    example = COLUMNS_HELP.partition("'")[2].partition("'")[0]
    assert {name for name, _ in column_map([example])} == {"indicator", "kind", "valid_until"}


INTERRUPTED = """
import sys, time
from pathlib import Path
from flowbench import engine
from flowbench.case import Case
from flowbench.cli import main

path = Path(sys.argv[1])

def query():
    connection = engine.connect()
    ready()
    sql = "SELECT count(*) FROM range(100_000_000_000) WHERE range * 7919 % 1_000_003 = 1_000_005"
    connection.con.sql(sql).to_arrow_reader().read_all()

def sleep():
    ready()
    time.sleep(30)

def load():
    def ingest(*_, **__):
        sleep()
    Case.ingest = ingest
    Case.create(path / "case")
    main(["ingest", str(path / "case"), str(path)], prog_name="flowbench")

def ready():
    print("ready", flush=True)

action = {"query": query, "sleep": sleep, "load": load}[sys.argv[2]]
if sys.argv[2] == "load":
    action()
main.command("wait")(action)
main(["wait"], prog_name="flowbench")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("query", "flowbench: stopped\n"),
        ("sleep", "flowbench: stopped\n"),
        ("load", "Committed files stay loaded; the same command loads the rest\n"),
    ],
)
def test_ctrl_c(tmp_path: Path, action: str, message: str) -> None:
    words = [sys.executable, "-c", INTERRUPTED, str(tmp_path), action]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            try:
                process.wait(2)  # until the query runs
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130
    assert errors.endswith(message)
    assert "Traceback" not in errors
    assert len(errors.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("redirection", "message"),
    [
        (">&-", "flowbench: standard output is closed: the answer cannot be written\n"),
        (">/dev/full", "flowbench: cannot write the answer: No space left on device\n"),
    ],
)
@pytest.mark.parametrize("options", ["", "--format csv"])
def test_an_answer_that_cannot_be_written_is_no_stack_trace(
    case: Path, redirection: str, message: str, options: str
) -> None:
    command = f"{sys.executable} -m flowbench info"
    done = subprocess.run(
        ["bash", "-c", f'{command} "$0" {options} {redirection}', str(case)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, message)
