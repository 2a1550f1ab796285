"""flowbench bench: the panels of a case as a page of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from flowbench.cli import common
from flowbench.errors import InputError

_DATA = Path(__file__).resolve().parent / "jupyter"  # has the template of the page
_HOST = "127.0.0.1"
# Front ends of the widgets; JupyterLab's other extensions have no place in the page.
_EXTENSIONS = (
    "@jupyter-widgets/jupyterlab-manager",
    "@voila-dashboards/widgets-manager8",
    "anywidget",
    "jupyterlab-plotly",
)
_START = 60  # seconds until the server must answer
_STOP = 15  # seconds until it must have ended
# The page loads nothing from elsewhere and sends nothing there, whatever a name in it says.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:;"
    " style-src 'self' 'unsafe-inline' data:; img-src 'self' data: blob:; font-src 'self' data:;"
    " worker-src 'self' blob:; connect-src 'self' ws://{host} data: blob:; base-uri 'self';"
    " form-action 'self'; frame-ancestors 'none'"
)


@click.command()
@common.case_argument
@click.option("--port", type=click.IntRange(1, 65_535), help="The port.  [default: a free one]")
@click.option(
    "--theme",
    type=click.Choice(["light", "dark"]),
    default="light",
    show_default=True,
    help="The colours of the page.",
)
def bench(case: Path, port: int | None, theme: str) -> None:
    """Show the panels of CASE in a browser.

    They are the hunting bench, findings, graph and timeline. The page is served on this machine
    only, to those who have its address, which holds a token. Ctrl-C stops it. It needs Voilà: `pip
    install 'flowbench[voila]'`.
    """
    opened = common.open_case(case)
    if importlib.util.find_spec("voila") is None:
        raise InputError("the page needs Voilà: pip install 'flowbench[voila]'")
    port = port or _find_free_port()
    token = secrets.token_urlsafe(24)
    with TemporaryDirectory(prefix="flowbench-bench-") as folder:
        words = write_settings(Path(folder), opened.path, port, token, theme)
        paths = [str(_DATA), *filter(None, [os.environ.get("JUPYTER_PATH")])]
        environment = os.environ | {"JUPYTER_PATH": os.pathsep.join(paths)}
        sys.exit(_serve(words, environment, port, f"http://{_HOST}:{port}/?token={token}"))


def write_settings(folder: Path, case: Path, port: int, token: str, theme: str) -> list[str]:
    """Write the notebook and the settings of the page into a folder; return Voilà's command.

    The token is in a file that only the user can read: all users can read a command.

    Args:
        folder: A folder for this page alone.
        case: The case.
        port: The port of loopback.
        token: What the page's address must have.
        theme: 'light' or 'dark'.
    """
    code = f"import flowbench as fb\ncase = fb.Case.open({str(case.absolute())!r})\n"
    cell: dict[str, Any] = {"cell_type": "code", "id": "page", "source": code, "metadata": {}}
    cell |= {"outputs": [], "execution_count": None}
    cell["source"] += "fb.panel.page(case)"
    kernel = {"name": "python3", "display_name": "Python 3"}
    notebook = {"cells": [cell], "metadata": {"kernelspec": kernel}}
    path = folder / "flowbench.ipynb"
    path.write_text(json.dumps(notebook | {"nbformat": 4, "nbformat_minor": 5}), encoding="utf-8")
    policy = _POLICY.format(host=f"{_HOST}:{port}")
    settings = {
        "Voila": {
            "ip": _HOST,
            "port": port,
            "port_retries": 0,
            "token": token,
            "open_browser": False,
            "root_dir": str(folder),
            "log_level": "ERROR",
            "tornado_settings": {"headers": {"Content-Security-Policy": policy}},
        },
        "VoilaConfiguration": {
            "template": "flowbench",
            "theme": theme,
            "allow_template_override": "NO",
            "show_tracebacks": True,
            "file_allowlist": [],
            "extension_allowlist": list(_EXTENSIONS),
        },
    }
    (folder / "voila.json").write_text(json.dumps(settings), encoding="utf-8")
    words = [sys.executable, "-m", "voila", str(path)]
    return [*words, "--template=flowbench", f"--Voila.config_file_paths={folder}"]


def _find_free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind((_HOST, 0))
        return probe.getsockname()[1]


def _serve(words: list[str], environment: dict[str, str], port: int, url: str) -> int:
    """Run the server until it ends, Ctrl-C or a signal; print its address when it answers."""
    server = subprocess.Popen(words, env=environment)  # noqa: S603  # written above
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(common.EXIT_STOPPED))
    try:
        if _wait(server, port):
            click.echo(url)
            common.note("Ctrl-C stops the page")
        if code := server.wait():
            raise InputError(f"Voilà exited with code {code}: see its messages above")
    finally:
        _stop(server)
    return code


def _wait(server: subprocess.Popen[bytes], port: int) -> bool:
    """Return whether the server answers before it ends or the time is over."""
    end = time.monotonic() + _START
    while server.poll() is None and time.monotonic() < end:
        with closing(socket.socket()) as probe:
            if probe.connect_ex((_HOST, port)) == 0:
                return True
        time.sleep(0.1)
    return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Let the server end its kernels, and end it where it does not; Ctrl-C no longer counts."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        server.terminate()  # it may have had a terminal's Ctrl-C already
        server.wait(_STOP)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    finally:
        signal.signal(signal.SIGINT, before)
