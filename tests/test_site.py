"""The documentation site: built without a warning, complete, and readable without a network."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

import flowbench
from flowbench.case.tables import CaseTables
from flowbench.cli import COMMANDS
from flowbench.connections import tables
from flowbench.detect.finding import FINDINGS
from flowbench.detect.registry import registered
from flowbench.loaders import registry
from tests.cli.running import run
from tests.conftest import ROOT
from tests.panel.jupyterlab import CHROMIUM, FLAGS

REFERENCE = "docs/reference"
# What a page loads by itself; a link that a reader may follow is no such thing.
LOADED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"([^\"]*)|<link\b[^>]*\bhref=\"([^\"]*)"
)
ANCHOR = re.compile(r'<a\b[^>]*\bhref="([^"]*)"')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make site` builds it, with warnings as errors."""
    folder = tmp_path_factory.mktemp("site")
    command = re.search(r"^site:.*\n\t@\$\(BIN\)/python (.*) build/site$", read_makefile(), re.M)
    words = [*command.group(1).split(), str(folder / "html"), "-d", str(folder / "doctrees")]
    built = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (built.returncode, built.stderr) == (0, "")
    return folder / "html"


def read_makefile() -> str:
    return (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, str]:
    """The text of each page by its name in the site."""
    return {
        path.relative_to(site).as_posix(): path.read_text(encoding="utf-8")
        for path in site.rglob("*.html")
    }


def text_of(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html))


def test_no_page_loads_anything_from_elsewhere(site: Path, pages: dict[str, str]) -> None:
    loaded = {
        unescape(found[0] or found[1]) for html in pages.values() for found in LOADED.findall(html)
    }
    assert len(loaded) > 10
    assert [url for url in sorted(loaded) if re.match(r"(\w+:)?//|https?:", url)] == []
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", style.read_text("utf-8"))


def test_no_link_within_the_site_is_dead(site: Path, pages: dict[str, str]) -> None:
    ids = {name: set(re.findall(r'\bid="([^"]*)"', html)) for name, html in pages.items()}
    dead = []
    for name, html in pages.items():
        for link in set(ANCHOR.findall(html)):
            path, _, anchor = unquote(unescape(link)).partition("#")
            if ":" in path:
                continue
            target = os.path.normpath(Path(name).parent / path) if path else name
            if not (site / target).is_file() or (
                anchor and target in ids and anchor not in ids[target]
            ):
                dead.append(f"{name}: {link}")
    assert not dead, "\n".join(dead)


def test_the_first_page_leads_to_the_start(pages: dict[str, str]) -> None:
    assert 'content="0; url=docs/index.html"' in pages["index.html"]
    assert 'href="first-case.html"' in pages["docs/start.html"]


def test_a_command_in_a_sentence_leads_to_its_page(pages: dict[str, str]) -> None:
    link = re.search(
        r'href="(reference/commands/quarantine.html)[^>]*>\s*<code',
        pages["docs/your-own-case.html"],
    )
    assert link


def test_every_page_can_be_reached_by_links_in_texts(pages: dict[str, str]) -> None:
    """From the start page, without menus, for those who read on a narrow screen."""
    first = "docs/index.html"
    reached, queue = {first}, [first]
    while queue:
        name = queue.pop()
        text = pages[name].partition('<article class="bd-article"')[2].partition("</article>")[0]
        for link in ANCHOR.findall(text):
            target = os.path.normpath(Path(name).parent / unquote(link.partition("#")[0]))
            if target in pages and target not in reached:
                reached.add(target)
                queue.append(target)
    made_by_sphinx = {"index.html", "search.html", "genindex.html", "py-modindex.html"}
    lost = pages.keys() - reached - made_by_sphinx
    assert {name for name in lost if not name.startswith("_static")} == set()


@pytest.mark.parametrize("name", registered())
def test_each_detector_has_its_page(pages: dict[str, str], name: str) -> None:
    module = registered()[name]
    text = text_of(pages[f"{REFERENCE}/detectors/{name}.html"])
    assert module.DETECTOR.question in text
    parts = ["Question", "Method", "Severity", "False positives", "Limitations", "Measured"]
    assert [part for part in parts if f"\n{part}" not in text] == []
    thresholds = list(inspect.signature(module.find).parameters)[1:]
    assert [each for each in thresholds if f"\n{each}\n" not in text] == []


def test_figures_are_those_that_were_measured(pages: dict[str, str]) -> None:
    """A public and a generated one, as benchmarks/detection.md has them."""
    measured = (ROOT / "benchmarks" / "detection.md").read_text(encoding="utf-8")
    # Every row is about one detector: the column that names it is left out.
    (public,) = re.findall(r"^\| c2-beacon \| .*$", measured, re.M)
    generated = re.findall(r"^\| 60 s \| beacon \| beacon \| .*$", measured, re.M)
    text = text_of(pages[f"{REFERENCE}/detectors/beacon.html"])
    assert generated
    for row in (public, *(row.replace("| beacon ", "", 1) for row in generated)):
        assert "\n".join(f"{cell.strip()}" for cell in row.strip("|").split("|")) in text
    assert "mining 3" not in text
    assert "Playbook: Beaconing" in text
    assert "no figures" in text_of(pages[f"{REFERENCE}/detectors/segmentation.html"])


def test_each_column_of_each_table_is_described(pages: dict[str, str]) -> None:
    def lacking(page: str, table: Any) -> list[str]:
        text = text_of(pages[f"{REFERENCE}/tables/{page}.html"])
        section = text.partition(f"\n{table.name}#")[2]
        rows = [f"{f.name}\n{f.type}\n{f.meaning}" for f in table.fields]
        return [f"{table.name}: {row}" for row in rows if row not in section]

    assert [
        each for table in registry.tables().values() for each in lacking("evidence", table)
    ] == []
    assert lacking("computed", tables.TABLE) == lacking("computed", tables.SUMMARIES) == []
    assert lacking("results", FINDINGS) == []
    computed = text_of(pages[f"{REFERENCE}/tables/computed.html"])
    assert f"case.connections. {CaseTables.connections.func.__doc__}" in computed


def test_each_command_has_its_help(pages: dict[str, str]) -> None:
    for command in COMMANDS:
        text = text_of(pages[f"{REFERENCE}/commands/{command.name}.html"])
        printed = run(command.name, "--help").output.replace("Usage: main", "Usage: flowbench")
        assert printed.strip() in text


def test_each_public_name_is_described(pages: dict[str, str]) -> None:
    modules = [name for name in dir(flowbench) if inspect.ismodule(getattr(flowbench, name))]
    assert len(modules) > 15
    for name in modules:
        html = pages[f"{REFERENCE}/api/{name}.html"]
        public = getattr(getattr(flowbench, name), "__all__", ())
        callables = [each for each in public if callable(getattr(getattr(flowbench, name), each))]
        assert (name, [each for each in callables if f'.{each}"' not in html]) == (name, [])
    case = pages[f"{REFERENCE}/api/case.html"]
    assert 'id="flowbench.Case.ingest"' in case
    assert 'id="flowbench.Case.connections"' in case
    assert 'id="flowbench.Case.between"' in case


def test_it_reads_in_a_browser_without_a_network(site: Path) -> None:
    """From the start page to a detector and by search to a column, in dark and narrow."""
    if CHROMIUM is None and not os.environ.get("FLOWBENCH_REQUIRE_BROWSER"):
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        size = {"width": 800, "height": 900}
        page = browser.new_page(viewport=size, color_scheme="dark")
        asked: list[str] = []
        errors: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto((site / "index.html").as_uri())
        page.wait_for_url("**/docs/index.html")
        assert page.locator("html").get_attribute("data-theme") == "dark"
        page.get_by_role("link", name="Detectors").last.click()
        page.get_by_role("link", name="beacon", exact=True).click()
        assert page.locator("h1").inner_text().startswith("Beaconing")
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not page.evaluate(wide)
        page.goto(f"{(site / 'search.html').as_uri()}?q=initiator_rule")
        page.locator("#search-results li a").first.wait_for()
        found = page.locator("#search-results li a").all_inner_texts()
        assert "Computed tables" in " ".join(found)
        browser.close()
    assert len(asked) > 10
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert errors == []
