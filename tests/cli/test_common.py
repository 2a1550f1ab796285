"""Tests of what commands share: help, errors, exit codes, options."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from flowbench.cli import COMMANDS, main
from flowbench.cli import output as results
from flowbench.cli.common import COLUMNS_HELP, CommandGroup, Output, output_options, parse_address
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
    assert "..." not in help_text


def test_each_command_is_in_the_file_of_its_name() -> None:
    for command in COMMANDS:
        assert command.callback is not None
        module = command.callback.__module__.rpartition(".")[2]
        assert module.replace("_", "-") == command.name


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


def test_errors_of_the_program_are_not_swallowed() -> None:
    group = CommandGroup()

    @group.command("fail")
    def fail() -> None:
        raise ZeroDivisionError

    assert isinstance(CliRunner().invoke(group, ["fail"]).exception, ZeroDivisionError)


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


def test_parse_address() -> None:
    assert parse_address("2001:DB8:0::1") == "2001:db8::1"
    for text in ("", "10.0.0", "10.0.0.1/32", "::1%eth0x/1", "db.example"):
        with pytest.raises(InputError, match="invalid IP address"):
            parse_address(text)


def test_the_help_of_columns_names_columns_that_lists_have() -> None:
    from flowbench.loaders.intel.lists import column_map

    example = COLUMNS_HELP.partition("'")[2].partition("'")[0]
    assert set(column_map([example])) | set(column_map([example]).values()) >= {"indicator", "kind"}
