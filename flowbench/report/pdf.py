"""The report as PDF, printed by a headless Chromium where there is one.

The page needs no network, and its content security policy allows none. The browser is started with
a profile of its own and without any way out: all names resolve to nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from flowbench.errors import InputError
from flowbench.io import atomic

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_TIMEOUT = 180  # seconds


def find_browser() -> str | None:
    """Return the path of a Chromium, or None where none is installed."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def print_pdf(page: Path, path: Path) -> Path:
    """Print an HTML file as PDF.

    The file differs from run to run: it has the time of printing.

    Args:
        page: The HTML file.
        path: The PDF to write.

    Raises:
        InputError: There is no browser, it fails, or the file cannot be written.
    """
    browser = find_browser()
    if browser is None:
        raise InputError(
            "no Chromium to print with: install chromium, or print the HTML report in a browser"
        )
    with tempfile.TemporaryDirectory(prefix="flowbench-", ignore_cleanup_errors=True) as folder:
        printed = Path(folder) / "report.pdf"
        words = [
            browser,
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            "--disable-extensions",
            "--disable-background-networking",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--no-pdf-header-footer",
            "--window-size=1400,1000",  # figures are drawn for the window, then scaled to the page
            "--virtual-time-budget=20000",  # figures are drawn before it prints
            f"--user-data-dir={folder}/profile",
            f"--print-to-pdf={printed}",
        ]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            words.append("--no-sandbox")  # Chromium refuses its sandbox to root
        try:
            done = subprocess.run(  # noqa: S603  # a browser by name, files as arguments; no shell
                [*words, page.absolute().as_uri()],
                capture_output=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InputError(f"{browser} cannot print {page}: {error}") from error
        if not printed.is_file():
            last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise InputError(f"{browser} cannot print {page}: {''.join(last) or 'no reason given'}")
        try:
            atomic.write_bytes(path, printed.read_bytes())
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}") from error
    return path
