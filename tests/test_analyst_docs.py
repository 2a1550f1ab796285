"""The examples in the documentation run as they are printed."""

from __future__ import annotations

import contextlib
import re
import shlex
from pathlib import Path

import click
import pytest

import flowbench
from flowbench import detect
from flowbench.case import Case
from flowbench.cli import COMMANDS, common, main
from tests import documentation
from tests.cli.running import run
from tests.conftest import ROOT, leave_few_detectors
from tests.incident_case import HOST, WEB, make_incident_case

DATA = {"csv", "json", "text", "yaml"}  # languages of blocks that are no examples
# Pages whose blocks are not all examples to run on a case, and what tests them instead.
ELSEWHERE = {
    "README.md": "below: its commands are parsed, its Python runs",
    "add-a-loader.md": "tests/test_add_pages.py",
    "first-case.md": "tests/test_winterday.py",
    "hunting.md": "tests/investigate/test_hunting.py: on a case with tags",
    "training.md": "tests/cli/test_scenario.py, test_grade.py, test_lesson.py; tests/training",
}
PAGES = [
    page
    for page in documentation.PAGES
    if page.name not in ELSEWHERE
    and any(language in ("", "python") for language, _ in documentation.blocks(page))
]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    path = make_incident_case(tmp_path_factory.mktemp("docs") / "incident").path
    return flowbench.Case.open(path)


@pytest.fixture(scope="module")
def findings(case: Case) -> detect.Findings:
    with pytest.MonkeyPatch.context() as monkeypatch:
        leave_few_detectors(monkeypatch)
        return detect.run(case)


@pytest.fixture
def opened(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands have the open case, with what it has computed: they do not change evidence.

    Panels open the case for themselves: their queries run at the same time.
    """

    def open_case(path: Path) -> Case:
        assert path == case.path
        return case

    monkeypatch.setattr(common, "open_case", open_case)


@pytest.mark.usefixtures("few_detectors", "opened")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_run(case: Case, findings: detect.Findings, page: Path) -> None:
    for language, text in documentation.blocks(page):
        if language == "python":
            run_python(case, findings, page, text)
        elif language == "":
            run_commands(case, findings, text)
        else:
            assert language in DATA or language.startswith("{"), language
    assert len(case.log.check()) == 0


def run_python(case: Case, findings: detect.Findings, page: Path, text: str) -> None:
    """Run a block in which `case`, `findings` and `fb` are known; a module has its own test."""
    if not text.startswith('"""'):
        names = {"case": case, "findings": findings, "fb": flowbench}
        text = text.replace("cases/mine", str(case.path))
        exec(compile(text, page.name, "exec"), names)


def run_commands(case: Case, findings: detect.Findings, text: str) -> None:
    """Run each line on the case and its first finding."""
    text = text.replace("CASE", str(case.path))
    text = re.sub("FINDING(-ID)?", findings[0].finding_id, text)
    for line in text.splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "flowbench"
        result = run(*arguments)
        assert result.exit_code == 0, (line, result.stderr)


@pytest.mark.usefixtures("few_detectors", "opened")
def test_the_python_of_the_readme_runs(case: Case) -> None:
    page = ROOT / "README.md"
    (text,) = [text for language, text in documentation.blocks(page) if language == "python"]
    known = {"cases/mine": str(case.path), "10.0.9.9": HOST, "web-1": WEB}
    known |= {"tag:env = dev": HOST, "tag:env = prod": WEB}
    for name, value in known.items():
        assert f'"{name}"' in text
        text = text.replace(name, value)
    exec(compile(text, "README.md", "exec"), {})


def command_lines() -> list[tuple[str, list[str]]]:
    """Return each call of the command in a page, a help text or a docstring of a detector."""
    texts = [(page.name, text) for page in documentation.PAGES for _, text in blocks_and_code(page)]
    texts += [(f"{command.name} --help", code_in(command.help or "")) for command in COMMANDS]
    return [(where, words) for where, text in texts for words in documentation.commands(text)]


def blocks_and_code(page: Path) -> list[tuple[str, str]]:
    """Return the blocks of a page, and its code in sentences as one more."""
    return [*documentation.blocks(page), ("", code_in(page.read_text(encoding="utf-8")))]


def code_in(text: str) -> str:
    """Return the code in sentences, a line for each."""
    return "\n".join(re.findall(r"`(flowbench [^`]+)`", " ".join(text.split())))


def test_every_command_that_is_mentioned_can_be_parsed(monkeypatch) -> None:
    """Parse, not run: unknown commands, options and values are errors."""
    monkeypatch.setattr(click.Path, "convert", lambda _self, value, *_: value)
    lines = command_lines()
    assert len(lines) > 100
    problems = []
    for where, words in lines:
        try:
            parse(words)
        except click.UsageError as error:
            problems.append(f"{where}: flowbench {shlex.join(words)}: {error.format_message()}")
    assert not problems, "\n".join(problems)


def test_every_option_that_a_help_text_names_exists() -> None:
    """An option of the command itself, or of one that the text refers to."""
    options = {
        command.name: {name for each in command.params for name in each.opts + each.secondary_opts}
        for command in COMMANDS
    }
    known = {"--help", "--no-browser"} | set().union(*options.values())  # the second: Jupyter's
    named = [
        (command.name, option)
        for command in COMMANDS
        for text in [command.help, *(getattr(each, "help", "") for each in command.params)]
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", text or "")
    ]
    assert len(named) > 30
    assert [each for each in named if each[1] not in known] == []


def test_every_target_of_make_that_is_mentioned_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        named = set(re.findall(r"^make (\w+)|`make (\w+)`", text, re.MULTILINE))
        assert named
        assert {one or other for one, other in named} <= targets


def parse(words: list[str]) -> None:
    """Parse the words of a command line; files need not exist. Raises UsageError."""
    parent = click.Context(main, info_name="flowbench")
    name, command, arguments = main.resolve_command(parent, list(words))
    assert command is not None
    # In a sentence, `flowbench detect` and `flowbench seal --timestamp` are complete.
    with parent, contextlib.suppress(click.MissingParameter, click.BadOptionUsage):
        command.make_context(name, arguments, parent=parent)


@pytest.mark.parametrize(
    ("shown", "fits"),
    [
        (["a 1", "b 2"], True),
        (["a…", "…", "c 3"], True),
        (["a 1", "c 3"], False),
        (["a 2"], False),
        (["…", "d"], False),
    ],
)
def test_what_a_page_shows_is_compared_with_what_is_printed(shown, fits) -> None:
    with contextlib.nullcontext() if fits else pytest.raises(AssertionError):
        documentation.assert_shown(shown, "a 1\nb 2  \nc 3\n")
