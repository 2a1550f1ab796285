"""Make the README's pictures from the Winterday case, in a headless Chromium.

    python docs/make_pictures.py

It loads data/winterday into a case in a temporary folder, runs the detectors, and takes screenshots
of the report and of single figures. It needs the extra ``dev``, and no network.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

import flowbench as fb
from flowbench.plot.figure import Figure
from flowbench.report.pdf import find_browser

DOCS = Path(__file__).parent
EVIDENCE = DOCS.parent / "data" / "winterday" / "evidence"
WIDTH = 1_000  # pixels of a figure; the report has 1,280


def draw_figures(case: fb.Case, findings: fb.detect.Findings) -> dict[str, Figure]:
    """Return the figures of the README by the names of their files."""
    miner = findings.of("mining")[0]
    whole = fb.graph.communication(case)
    return {
        "winterday-timeline": fb.plot.timeline(fb.timeline.build(case)),
        "winterday-graph": fb.plot.network(fb.graph.around(whole, miner.subject)),
    }


def screenshot(browser: Browser, page: Path, picture: Path, size: tuple[int, int]) -> None:
    """Save what a page shows at the beginning, after its figures are drawn."""
    tab = browser.new_page(viewport={"width": size[0], "height": size[1]})
    tab.goto(page.as_uri())
    tab.wait_for_selector(".js-plotly-plot .main-svg", state="attached")
    tab.wait_for_timeout(500)
    tab.screenshot(path=picture)
    tab.close()
    print(picture.relative_to(DOCS.parent))


def main() -> None:
    """Make all pictures."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as program:
        browser = program.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        case = fb.Case.create(Path(folder) / "winterday", "Winterday")
        case.ingest(EVIDENCE)
        findings = fb.detect.run(case)
        report = fb.report.write(case, Path(folder) / "report.html", findings)
        screenshot(browser, report, DOCS / "winterday-report.png", (1_280, 1_400))
        for name, figure in draw_figures(case, findings).items():
            page = Path(folder) / f"{name}.html"
            figure.write_html(page, include_plotlyjs=True)
            size = WIDTH, int(figure.layout.height) + 16
            screenshot(browser, page, DOCS / f"{name}.png", size)
        browser.close()


if __name__ == "__main__":
    main()
