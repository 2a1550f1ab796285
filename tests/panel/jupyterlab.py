"""JupyterLab in a real browser, for tests of panels: a server, a kernel, a page.

The server is that of ``flowbench lab``, with a token, on loopback. Its pages share one kernel: a
notebook's cells run where those of the last one ran, which saves the seconds of a start.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import nbformat

from tests.conftest import ROOT

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip
ARTEFACTS = Path(os.environ.get("FLOWBENCH_ARTEFACTS", ROOT / "build" / "screenshots"))
LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"
WIDE, NARROW = (1400, 900), (800, 900)  # pixels
ZOOMED = (WIDE[0] // 2, WIDE[1] // 2)  # a wide page at 200 %
_LOCAL = ("127.0.0.1", "")  # hosts; data: and blob: have none
_TOKEN = "a-token-of-tests"


def free_port() -> int:
    """Return a port of loopback that nothing listens at."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """``flowbench lab`` on a folder, and one kernel."""

    def __init__(self, root: Path, settings: Path) -> None:
        (root / "data" / "winterday" / "evidence").mkdir(parents=True)  # else it is generated
        self.root = root
        self.url = f"http://127.0.0.1:{free_port()}"
        words = [sys.executable, "-m", "flowbench", "lab", str(root), "--no-browser"]
        words += ["--allow-root", f"--ServerApp.port={self.url.rpartition(':')[2]}"]
        words += [f"--IdentityProvider.token={_TOKEN}", "--LabApp.expose_app_in_browser=True"]
        folders = {
            name: str(settings / name.lower())
            for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
        }
        folders |= {"HOME": str(settings), "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        self._output = (settings / "jupyterlab.log").open("wb")
        self._process = subprocess.Popen(
            words,
            env=os.environ | folders,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,
        )
        self._wait(settings / "jupyterlab.log")
        self.kernel = self.request("POST", "/api/kernels", {"name": "python3"})["id"]

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask the server's API, with the token."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {_TOKEN}"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or "null")

    def page_url(self) -> str:
        """Return the address of JupyterLab with the token, without a document."""
        return f"{self.url}/lab/tree/notebooks?token={_TOKEN}&reset"

    def write_notebook(self, name: str, cells: Sequence[str]) -> str:
        """Write a notebook that runs in the shared kernel; return its path under the root."""
        path = f"notebooks/{name}.ipynb"
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, self.root / path)
        session = {"path": path, "name": name, "type": "notebook", "kernel": {"id": self.kernel}}
        self.request("POST", "/api/sessions", session)
        return path

    def stop(self) -> None:
        """End the server with its kernel."""
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(30)
        self._output.close()

    def _wait(self, log: Path) -> None:
        end = time.monotonic() + 120
        while True:
            try:
                self.request("GET", "/api/status")
            except OSError:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"no JupyterLab: {log.read_text()}") from None
                time.sleep(0.2)
            else:
                return


class Lab:
    """JupyterLab's page in Chromium.

    Attributes:
        page: Playwright's page.
        root: The folder that JupyterLab shows.
        errors: Errors of the console and of scripts, and dialogs, since the notebook was opened.
        outside: Requests to any host but this one, ever.
    """

    def __init__(self, server: Server, browser: Any) -> None:
        self._server = server
        self._count = 0
        self._path = ""
        self.root = server.root
        self.errors: list[str] = []
        self.outside: list[str] = []
        self.page = browser.new_page(viewport={"width": WIDE[0], "height": WIDE[1]})
        self.page.set_default_timeout(60_000)
        self.page.on("request", lambda request: self._note_request(request.url))
        self.page.on("websocket", lambda websocket: self._note_request(websocket.url))
        self.page.on("console", self._note_console)
        self.page.on("pageerror", self._note_error)
        self.page.on("dialog", self._note_dialog)
        self.page.goto(server.page_url())
        self.page.wait_for_function("window.jupyterapp !== undefined")
        self.execute("application:toggle-left-area")  # a hidden file browser leaves more room

    def execute(self, command: str, **arguments: Any) -> None:
        """Run a command of JupyterLab by its id, and wait until it has ended."""
        self._evaluate(
            "await window.jupyterapp.restored;"
            " await window.jupyterapp.commands.execute(given.id, given.arguments)",
            id=command,
            arguments=arguments,
        )

    def open(self, *cells: str) -> None:
        """Open a new notebook with these cells, and run them; raises what they raise."""
        self._count += 1
        self._path = self._server.write_notebook(f"test-{self._count}", cells)
        # Closed by a command, a notebook that is not saved asks what to do.
        self._evaluate("for (const w of [...window.jupyterapp.shell.widgets('main')]) w.dispose()")
        self.errors.clear()
        self._show()
        self.run()

    def run(self) -> None:
        """Run all cells of the notebook, and wait for their widgets; raises what they raise."""
        self._wait_for_kernel()
        self.execute("notebook:run-all-cells")
        errors = self._evaluate(
            "return window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells"
            ".flatMap(cell => cell.toJSON().outputs ?? [])"
            ".filter(output => output.output_type === 'error').map(output => output.evalue)"
        )
        if errors:
            raise AssertionError(errors[0])

    def reload(self) -> None:
        """Reload the page as F5 does, and run the notebook again in a kernel without its names.

        JupyterLab opens again what was open, unless the page is reloaded before it has noted that:
        it does so a while later. The notebook is opened here in any case.
        """
        self.execute("notebook:clear-all-cell-outputs")
        self.execute("docmanager:save")
        self.page.reload()
        self.page.wait_for_function("window.jupyterapp !== undefined")
        self._show()
        self.run_python("get_ipython().run_line_magic('reset', '-f')")
        self.run()

    def run_python(self, code: str) -> None:
        """Run code in the notebook's kernel, without a cell; raises what it raises."""
        self._wait_for_kernel()
        error = self._evaluate(
            "const session = window.jupyterapp.shell.currentWidget.sessionContext.session;"
            " const reply = await session.kernel.requestExecute({code: given.code}).done;"
            " return reply.content.status === 'error' ? reply.content.ename : null",
            code=code,
        )
        if error:
            raise AssertionError(f"{error} of {code}")

    def use_theme(self, name: str) -> None:
        """Switch to LIGHT or DARK."""
        self.execute("apputils:change-theme", theme=name)
        is_light = "true" if name == LIGHT else "false"
        self.page.wait_for_selector(f"body[data-jp-theme-light='{is_light}']", state="attached")

    def use_size(self, size: tuple[int, int]) -> None:
        """Give the page another size in pixels, as WIDE and NARROW."""
        self.page.set_viewport_size({"width": size[0], "height": size[1]})

    def screenshot(self, name: str, part: Any = None) -> Path:
        """Write a picture of the page, or of the whole of a part, into ARTEFACTS, to look at."""
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        path = ARTEFACTS / f"{name}.png"
        size = self.page.viewport_size
        if part is not None:  # what the page cannot show at once would be cut
            height = max(size["height"], int(part.bounding_box()["height"]) + 200)
            self.page.set_viewport_size(size | {"height": height})
        (part or self.page).screenshot(path=path)
        self.page.set_viewport_size(size)
        return path

    def _show(self) -> None:
        self.execute("docmanager:open", path=self._path, factory="Notebook")

    def _wait_for_kernel(self) -> None:
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        self._evaluate(
            "const panel = window.jupyterapp.shell.currentWidget;"
            " await panel.context.ready; await panel.sessionContext.ready"
        )

    def _evaluate(self, script: str, **given: Any) -> Any:
        """Run a script in the page with the values of ``given``; raises after a minute."""
        return self.page.evaluate(
            f"given => Promise.race([(async () => {{ {script} }})(),"
            " new Promise((_, fail) => setTimeout(() => fail(Error('a minute is over')), 60000))])",
            given,
        )

    def _note_request(self, url: str) -> None:
        if (urllib.parse.urlsplit(url).hostname or "") not in _LOCAL:
            self.outside.append(url)

    def _note_console(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _note_error(self, error: Any) -> None:
        # JupyterLab itself removes a theme's style sheet twice where themes change quickly.
        if not ("removeChild" in str(error) and "/jlab_core." in (error.stack or "")):
            self.errors.append(str(error))

    def _note_dialog(self, dialog: Any) -> None:
        self.errors.append(f"a dialog: {dialog.message}")
        dialog.dismiss()
