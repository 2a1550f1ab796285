"""flowbench lab: JupyterLab with the notebooks."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import click

from flowbench.cli import common
from flowbench.cli.demo import write_evidence
from flowbench.errors import InputError
from flowbench.text import format_count

_SETTINGS = Path(__file__).resolve().parent / "jupyter"  # settings that the user can override


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[FOLDER] [JUPYTER OPTIONS]")
def lab(arguments: tuple[str, ...]) -> None:
    """Open JupyterLab in FOLDER with flowbench's notebooks.

    FOLDER is the current folder by default. Notebooks are copied to FOLDER/notebooks, and the
    evidence of the Winterday case is written to FOLDER/data/winterday; files that exist are kept.
    JupyterLab's root is FOLDER, so put cases there. Options are passed on to `jupyter lab`, as in
    `flowbench lab work --no-browser`. JupyterLab asks the network for neither news nor updates
    unless you turn that on in its settings.
    """
    has_folder = bool(arguments) and not arguments[0].startswith("-")
    root = Path(arguments[0] if has_folder else ".").resolve()
    copied = copy_notebooks(root / "notebooks")
    if copied:
        common.note(f"{format_count(len(copied), 'file')} copied to {root / 'notebooks'}")
    write_evidence(root)
    words = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root}"]
    words += ["--LabApp.default_url=/lab/tree/notebooks", *arguments[has_folder:]]
    settings = [str(_SETTINGS), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
    environment = os.environ | {"JUPYTER_CONFIG_PATH": os.pathsep.join(settings)}
    sys.exit(run_server(words, environment))


def run_server(words: list[str], environment: dict[str, str]) -> int:
    """Run a server until it ends, and return its exit code.

    A terminal sends Ctrl-C to the server too, which asks before it ends and ends its kernels.
    """
    with subprocess.Popen(words, env=environment) as server:  # noqa: S603  # the user's own words
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return server.wait()
        finally:
            signal.signal(signal.SIGINT, before)


def copy_notebooks(folder: Path) -> list[Path]:
    """Copy the notebooks and what they show into a folder; keep files that exist.

    Returns:
        The files that were written.

    Raises:
        InputError: The folder cannot be written, or this installation has no notebooks.
    """
    from flowbench.playbooks.library import find_notebooks

    source = find_notebooks()
    copied = []
    try:
        for path in sorted(source.rglob("*")):
            target = folder / path.relative_to(source)
            if path.suffix in (".ipynb", ".png") and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                copied.append(target)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror}") from error
    return copied
