"""The report in a real browser with no network: what a reader sees."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowbench import report

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip


@pytest.fixture(scope="module")
def page(
    winterday, winterday_findings, tmp_path_factory
) -> Iterator[tuple[Any, list[str], list[str]]]:
    """The Winterday report opened offline, its network requests, and its errors."""
    if CHROMIUM is None and not os.environ.get("FLOWBENCH_REQUIRE_BROWSER"):
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    path = report.write(winterday, tmp_path_factory.mktemp("r") / "r.html", winterday_findings)
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
        opened = context.new_page()
        asked: list[str] = []
        errors: list[str] = []
        opened.on("request", lambda request: asked.append(request.url))
        opened.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.on(
            "dialog",
            lambda dialog: (errors.append("a dialog: " + dialog.message), dialog.dismiss()),
        )
        opened.goto(Path(path).as_uri())
        opened.wait_for_selector(".js-plotly-plot .main-svg")
        yield opened, asked, errors
        browser.close()


def test_no_requests_and_no_errors(page) -> None:
    _, asked, errors = page
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert errors == []


def test_the_facts_of_the_case_are_visible(page, answers) -> None:
    opened, _, _ = page
    text = opened.inner_text("main")
    user = answers["user"]
    for fact in (
        answers["instance"],
        answers["interface"],
        answers["pool"]["address"],
        answers["tor"]["address"],
        user["arn"],
        user["access_key"],
        user["source_address"],
        answers["run_instances_event"],
        "2026-09-02 02:30:14",
        "2026-09-03 16:42:13",
    ):
        assert fact in text


def test_every_digest_of_the_evidence_is_there(page, winterday) -> None:
    opened, _, _ = page
    text = opened.inner_text("#custody")
    for digest in winterday.evidence["sha256"]:
        assert digest in text
    assert winterday.log.content_entry["digest"] in text


def test_the_figures_are_drawn(page) -> None:
    opened, _, _ = page
    assert opened.locator(".js-plotly-plot").count() >= 4
    for box in opened.locator(".js-plotly-plot .main-svg >> nth=0").all():
        assert box.bounding_box()["height"] > 100


def test_text_of_the_attacker_is_not_run(page) -> None:
    opened, _, _ = page
    assert opened.evaluate("document.querySelectorAll('script').length") < 40
    assert "<script>alert(1)</script>" in opened.inner_text("main")
    assert (
        opened.evaluate("[...document.scripts].some(s => s.textContent.trim() === 'alert(1)')")
        is False
    )


def test_every_link_has_a_target(page) -> None:
    opened, _, _ = page
    links = opened.eval_on_selector_all("nav a", "found => found.map(a => a.getAttribute('href'))")
    assert len(links) > 6
    for link in links:
        assert link.startswith("#")
        assert opened.locator(f'[id="{link[1:]}"]').count() == 1
