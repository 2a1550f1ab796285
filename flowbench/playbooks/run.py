"""Run a notebook on a case, and write it with its results to one HTML file."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import nbclient
import nbformat
from nbclient.exceptions import CellExecutionError
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode

from flowbench.errors import InputError, StoppedError
from flowbench.io import atomic
from flowbench.playbooks.needs import EndOfPlaybook
from flowbench.playbooks.parameters import set_parameters
from flowbench.text import escape_controls

_PANEL = (
    "application/vnd.jupyter.widget-view+json"  # a page would load its front end from elsewhere
)


_STOPPED = "immediate"  # how the kernel of a stopped run is shut down
# Code and texts wrap, so that nothing is cut at the right; tables that are too wide are scrolled,
# and printed smaller, on landscape pages. Narrow windows have no room for the numbers of cells.
_STYLE = """
.jp-InputArea-editor { overflow: visible }
.jp-InputArea-editor pre, .jp-RenderedText pre {
  white-space: pre-wrap; word-break: normal; overflow-wrap: anywhere }
.jp-RenderedHTMLCommon table { max-width: none }
.jp-Notebook { max-width: 1280px; margin: auto }
.jp-RenderedHTMLCommon caption { text-align: left; caption-side: top }
@media screen and (max-width: 1000px) {
  .jp-InputPrompt, .jp-OutputPrompt { display: none }
  .jp-Notebook { padding: 8px }
  .jp-RenderedHTMLCommon td, .jp-RenderedHTMLCommon th { padding: 3px 5px }
}
@page { size: A4 landscape; margin: 12mm }
@media print {
  .jp-InputPrompt, .jp-OutputPrompt { display: none }
  .jp-OutputArea-output { overflow: visible }
  .jp-RenderedHTMLCommon table { font-size: 6.5pt }
  .jp-RenderedHTMLCommon td, .jp-RenderedHTMLCommon th { padding: 1px 3px }
  .jp-RenderedHTMLCommon tr, .plotly-graph-div { break-inside: avoid }
  .plotly-graph-div { zoom: .8 }
}
"""


class Outcome(NamedTuple):
    """A finished run.

    Attributes:
        path: The HTML file.
        ended: The reason for which the playbook ended early; None if it ran to its last cell.
    """

    path: Path
    ended: str | None


def run(
    notebook: Path,
    case: Path | None,
    output: Path,
    parameters: Mapping[str, str] | None = None,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> Outcome:
    """Execute a playbook on a case; write code, text, tables and figures to an HTML file.

    The file needs no network. The notebook itself is not changed.

    Args:
        notebook: The playbook (``library.find_playbook``).
        case: The folder of the case, for the parameter CASE; None leaves the notebook's own, and
            runs notebooks that take no parameters.
        output: The HTML file.
        parameters: Other parameters by name, as text (``parameters.set_parameters``).
        progress: Called with (cells done, number of cells, heading of the section).

    Raises:
        InputError: A parameter cannot be used, a cell failed, or the file cannot be written.
        StoppedError: The user stopped it; no file is written.
    """
    if not output.parent.is_dir():
        raise InputError(f"cannot write {output}: there is no folder {output.parent}")
    node = nbformat.read(notebook, as_version=4)
    values = ({} if case is None else {"case": str(case.resolve())}) | dict(parameters or {})
    if values:
        set_parameters(node, values)
    ended = _execute(node, notebook, progress)
    try:
        atomic.write_bytes(output, _to_html(node, notebook.stem).encode())
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror}") from error
    return Outcome(output, ended)


def _execute(
    node: NotebookNode, path: Path, progress: Callable[[int, int, str], None]
) -> str | None:
    """Execute all cells; return the reason if the playbook ended early."""
    headings, heading = [], path.stem
    for cell in node.cells:
        titles = [line for line in cell.source.splitlines() if line.startswith("#")]
        if cell.cell_type == "markdown" and titles:
            heading = titles[-1].lstrip("# ")
        headings.append(heading)

    def started(cell: NotebookNode, cell_index: int) -> None:  # noqa: ARG001  # nbclient's names
        progress(cell_index, len(node.cells), headings[cell_index])

    with tempfile.TemporaryDirectory() as sockets:
        client = nbclient.NotebookClient(
            node, kernel_name="python3", timeout=None, on_cell_start=started
        )
        client.on_notebook_start = lambda **_: _stop_by_signal(client)
        if os.name == "posix":  # sockets of this user alone, instead of ports
            manager = client.create_kernel_manager()
            manager.transport, manager.ip = "ipc", f"{sockets}/kernel"
        try:
            client.execute(cwd=str(path.parent))
        except CellExecutionError as error:
            if error.ename == EndOfPlaybook.__name__:
                return str(error.evalue)
            raise InputError(
                f"{path.name}: the section '{_failed_heading(node, headings)}' failed:"
                f" {error.ename}: {escape_controls(error.evalue)}"
            ) from error
        except (KeyboardInterrupt, asyncio.CancelledError, AssertionError, RuntimeError) as error:
            raise _explain_end(client, path, error) from error
        finally:
            progress(1, 1, "")
    return None


def _stop_by_signal(client: nbclient.NotebookClient) -> None:
    """Let Ctrl-C stop a run in order, not end the kernel beneath the cell that it executes."""
    task = asyncio.current_task()
    assert task is not None

    def stop() -> None:
        client.shutdown_kernel = _STOPPED
        task.cancel()

    with suppress(RuntimeError, NotImplementedError):  # not in the main thread; on Windows
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop)


def _explain_end(
    client: nbclient.NotebookClient, path: Path, error: BaseException
) -> BaseException:
    """Return what to raise for a run that ended without an error of a cell."""
    is_signal = isinstance(error, KeyboardInterrupt | asyncio.CancelledError)
    # The attribute is that of nbclient's handler, which is there until the first cell starts.
    if (
        is_signal
        or client.shutdown_kernel == _STOPPED
        or hasattr(client, "_async_cleanup_kernel_future")
    ):
        return StoppedError("stopped; nothing was written")
    if isinstance(error, RuntimeError):  # DeadKernelError among them
        return InputError(
            f"{path.name}: the process that runs its cells has ended: the system may have run out"
            " of memory"
        )
    return error


def _failed_heading(node: NotebookNode, headings: list[str]) -> str:
    """The heading of the section with the cell that failed."""
    failed = (
        index
        for index, cell in enumerate(node.cells)
        if any(output.output_type == "error" for output in cell.get("outputs", ()))
    )
    return headings[next(failed)]


def _to_html(node: NotebookNode, title: str) -> str:
    node.metadata.pop("widgets", None)
    for output in (output for cell in node.cells for output in cell.get("outputs", ())):
        if output.get("data", {}).pop(_PANEL, None) is not None:
            output["data"]["text/plain"] = (
                "This panel needs a running notebook: open it in JupyterLab."
            )
    # Without these, the page would load scripts from the network.
    exporter = HTMLExporter(
        mathjax_url="", require_js_url="", mermaid_js_url="", mermaid_layout_elk_js_url=""
    )
    body, _resources = exporter.from_notebook_node(node, {"metadata": {"name": title}})
    page = re.sub(r'<script src="">\s*</script>', "", str(body))
    style = f"{_dark_style(exporter)}<style>{_STYLE}</style>"
    return page.replace("</head>", f"{style}</head>", 1)


def _dark_style(exporter: HTMLExporter) -> str:
    """The template's dark colours, for browsers whose user prefers them."""
    files = (Path(folder) / "static" / "theme-dark.css" for folder in exporter.template_paths)
    rules = next(file.read_text(encoding="utf-8") for file in files if file.is_file())
    return f"<style>@media screen and (prefers-color-scheme: dark) {{ {rules} }}</style>"
