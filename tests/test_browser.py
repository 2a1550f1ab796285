"""The report in a real browser with no network: what a reader sees."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowbench import detect, playbooks, report
from tests.incident_case import make_incident_case
from tests.panel.jupyterlab import CHROMIUM, FLAGS


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None and not os.environ.get("FLOWBENCH_REQUIRE_BROWSER"):
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        started = player.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


def open_report(browser: Any, path: str | Path) -> tuple[Any, list[str], list[str]]:
    """Return the report opened offline, its network requests, and its errors."""
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "dialog",
        lambda dialog: (errors.append("a dialog: " + dialog.message), dialog.dismiss()),
    )
    page.goto(Path(path).as_uri())
    page.wait_for_selector(".js-plotly-plot .main-svg")
    return page, asked, errors


@pytest.fixture(scope="module")
def page(
    browser, winterday, winterday_findings, tmp_path_factory
) -> tuple[Any, list[str], list[str]]:
    """The Winterday report."""
    path = report.write(winterday, tmp_path_factory.mktemp("r") / "r.html", winterday_findings)
    return open_report(browser, path)


def test_no_requests_and_no_errors(page) -> None:
    _, asked, errors = page
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert errors == []


def test_the_facts_of_the_case_are_visible(page, answers) -> None:
    shown, _, _ = page
    text = shown.inner_text("main")
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
    shown, _, _ = page
    text = shown.text_content("#custody")
    for digest in winterday.evidence["sha256"]:
        assert digest in text
    assert winterday.log.content_entry["digest"] in text


def test_the_figures_are_drawn(page) -> None:
    shown, _, _ = page
    assert shown.locator(".js-plotly-plot").count() >= 4
    for box in shown.locator(".js-plotly-plot .main-svg >> nth=0").all():
        assert box.bounding_box()["height"] > 100


def test_text_of_the_attacker_is_not_run(browser, tmp_path) -> None:
    case = make_incident_case(tmp_path)
    path = report.write(case, tmp_path / "r.html", detect.run(case, keep=False))
    page, asked, errors = open_report(browser, path)
    assert "<script>alert(1)</script>" in page.text_content("main")
    assert not page.evaluate("[...document.scripts].some(s => s.textContent.trim() === 'alert(1)')")
    assert errors == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_every_link_has_a_target(page) -> None:
    shown, _, _ = page
    links = shown.eval_on_selector_all("nav a", "found => found.map(a => a.getAttribute('href'))")
    assert len(links) > 6
    for link in links:
        assert link.startswith("#")
        assert shown.locator(f'[id="{link[1:]}"]').count() == 1


def test_a_playbook_asks_for_nothing_and_shows_its_figures(browser: Any, tmp_path: Path) -> None:
    case = make_incident_case(tmp_path / "case")
    path = playbooks.find_playbook("crypto-mining")
    outcome = playbooks.run(path, case.path, tmp_path / "playbook.html")
    shown, asked, errors = open_report(browser, outcome.path)
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert errors == []
    assert "Send to cloud" not in shown.content().rpartition("<main>")[2]
