"""The command: a page for each subcommand with its help, as `--help` prints it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from flowbench.cli import COMMANDS, main
from pages import markdown

WIDTH = 80  # columns of the terminal for which the help is laid out


def help_text(command: click.Command, name: str) -> str:
    """Return what `--help` prints of a command."""
    settings = dict(main.context_settings, terminal_width=WIDTH)
    context = click.Context(main, info_name="flowbench", **settings)
    if command is not main:
        context = click.Context(command, info_name=name, parent=context)
    return command.get_help(context)


def make_pages(root: Path) -> Iterator[tuple[str, str]]:
    """Yield a page for each command, and one that lists them."""
    described = _described(root)
    rows = []
    for command in COMMANDS:
        name = command.name or ""
        about = markdown.first_sentence(command.help)
        yield f"commands/{name}.md", _page(command, name, described.get(name, {}))
        rows.append((f"[{name}](commands/{name}.md)", about))
    yield (
        "commands.md",
        "(the-command)=\n# The command\n\n"
        "`flowbench COMMAND --help` prints what these pages show. CASE is the folder of a case."
        " A command that lists things takes `--format` (`table` on a terminal, `json`, `jsonl`,"
        " `csv`, `parquet`) and `--output FILE`.\n\n"
        + markdown.table(("command", "what it does"), rows)
        + "\n## Options\n\n"
        + f"```text\n{help_text(main, 'flowbench').partition('Commands:')[0].strip()}\n```\n\n"
        + markdown.toctree((f"commands/{c.name}" for c in COMMANDS), "hidden"),
    )


def _page(command: click.Command, name: str, pages: dict[str, str]) -> str:
    lines = [
        f"(command-{name})=\n# flowbench {name}\n",
        f"```text\n{help_text(command, name).strip()}\n```\n",
    ]
    if pages:
        links = [f"[{title}](/{path})" for path, title in pages.items()]
        lines.append(f"Used in: {', '.join(links)}.\n")
    return "\n".join(lines)


def _described(root: Path) -> dict[str, dict[str, str]]:
    """Return the pages that use each command: their paths with their titles."""
    used: dict[str, dict[str, str]] = {}
    for path in sorted((root / "docs").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        title = re.search(r"^# (.*)", text, re.MULTILINE)
        for name in re.findall(r"\bflowbench ([a-z-]+)", text):
            page = path.relative_to(root).as_posix()
            used.setdefault(name, {})[page] = title.group(1) if title else path.stem
    return used
