"""A case whose every text is hostile: nothing of it runs, and no request leaves.

Tags, domains, user agents, principals, file names and notes hold markup that would call a server on
loopback, a formula, and control characters. The server must hear nothing: from the report in a
browser, from its PDF, and from nothing that is exported or printed.
"""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import networkx as nx
import pytest

from flowbench import detect, export, report
from flowbench.case import Case
from flowbench.detect import Findings
from flowbench.report import pdf
from tests.cli.running import run
from tests.incident_case import HOST, LIST, POOL, api_event, dns_query, make_inventory, traffic
from tests.traffic import T0, make_case

FILE = "<img src=x onerror=alert(1)>=1+1.log"
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
DETECTORS = ["contact", "mining", "api-abuse"]


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, list[str]]]:
    """A server on loopback: its address, and the paths that anything asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listening.server_port}", asked
    listening.shutdown()
    listening.server_close()


@pytest.fixture(scope="module")
def payload(server: tuple[str, list[str]]) -> str:
    url = server[0]
    return (
        f'=HYPERLINK("{url}/cell")"><script>fetch("{url}/run")</script>'
        f'<img src={url}/img onerror=fetch("{url}/error")><style>@import "{url}/css"</style>'
        "]]>\x1b[2J\u202e\n{{7*7}}"
    )


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory, payload: str) -> Case:
    folder = tmp_path_factory.mktemp("hostile")
    inventory = make_inventory()
    inventory[0]["TagSet"] = [{"Key": "Name", "Value": payload}, {"Key": payload, "Value": payload}]
    arn = f"arn:aws:iam::111122223333:user/{payload}"
    asked = {"userName": payload, "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}
    events = [
        api_event("e1", "CreateUser", T0, arn=arn, request=asked),
        api_event("e2", "AttachUserPolicy", T0 + 60, arn=arn, request=asked),
        api_event("e3", "StopLogging", T0 + 90, arn=arn, request={"name": payload}),
    ]
    events = [event | {"userAgent": payload} for event in events]
    (folder / FILE).write_text("\n".join(json.dumps(row) for row in events))
    queries = [dns_query(T0, f"{payload[:40]}.pool.example."), dns_query(T0)]
    (folder / "dns.log").write_text("\n".join(map(json.dumps, queries)))
    made = make_case(folder / "case", traffic(), interfaces=inventory, indicators=LIST)
    made.ingest(folder / FILE, folder / "dns.log")
    made.note(payload, about=HOST, tags=["<b>"])
    return made


@pytest.fixture(scope="module")
def findings(case: Case) -> Findings:
    found = detect.run(case, only=DETECTORS, keep=False)
    assert {finding.detector for finding in found} == set(DETECTORS)
    return found


@pytest.mark.browser
@pytest.mark.skipif(pdf.find_browser() is None, reason="no Chromium")
def test_report_and_pdf(
    case: Case, findings: Findings, server: tuple[str, list[str]], tmp_path: Path
) -> None:
    from playwright.sync_api import sync_playwright

    path = report.write(case, tmp_path / "r.html", findings, examiner="<script>x</script>")
    asked: list[str] = []
    errors: list[str] = []
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=pdf.find_browser(), args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: (errors.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_selector(".js-plotly-plot .main-svg")
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        page.mouse.move(600, 400)
        text = page.inner_text("main")
        counts = page.evaluate(
            "['main img, iframe, object, embed, link, base', 'main style', 'script'].map(names =>"
            " [...document.querySelectorAll(names)].filter(e => e.matches(':not(style, script)')"
            " || /^@import|^fetch/.test(e.textContent)).length)"
        )
        browser.close()
    assert (counts, errors) == ([0, 0, 0], [])
    assert "<script>fetch(" in text  # shown as text
    assert "{{7*7}}" in text
    assert "\u202e" not in text
    printed = report.print_pdf(path, tmp_path / "r.pdf").read_bytes()
    for active in (b"/JavaScript", b"/JS", b"/Launch", b"/SubmitForm", b"/URI", server[0].encode()):
        assert active not in printed
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert server[1] == []


@pytest.mark.parametrize("form", ["timesketch-csv", "indicators"])
def test_no_cell_is_a_formula(case: Case, findings: Findings, form: str) -> None:
    text = export.FORMATS[form].make(case, findings).decode()
    rows = list(csv.reader(io.StringIO(text)))
    assert len({len(row) for row in rows}) == 1
    assert any("HYPERLINK" in cell or "eu.pool.example" in cell for row in rows for cell in row)
    assert not [cell for row in rows for cell in row if cell.startswith(FORMULAS)]


@pytest.mark.parametrize("form", ["graphml", "gexf"])
def test_graphs_are_xml_with_the_text_in_it(
    case: Case, findings: Findings, form: str, tmp_path: Path
) -> None:
    data = export.FORMATS[form].make(case, findings)
    root = ET.fromstring(data)  # made here
    assert b"<!DOCTYPE" not in data
    assert b"<!ENTITY" not in data
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {
        *("graphml", "key", "graph", "node", "edge", "data", "gexf", "attributes", "attribute"),
        *("nodes", "edges", "attvalues", "attvalue", "meta", "creator", "default", "desc"),
    }
    (tmp_path / "g").write_bytes(data)
    read = nx.read_graphml if form == "graphml" else nx.read_gexf
    labels = [
        attributes.get("label", "") for _, attributes in read(tmp_path / "g").nodes(data=True)
    ]
    assert any("<script>fetch(" in label for label in labels)
    assert not any("\x1b" in label or "\u202e" in label for label in labels)


@pytest.mark.parametrize("form", ["stix", "attack-navigator", "ocsf", "timesketch-jsonl"])
def test_json_is_one_value_or_one_a_line(case: Case, findings: Findings, form: str) -> None:
    text = export.FORMATS[form].make(case, findings).decode()
    lines = text.splitlines() if form in ("ocsf", "timesketch-jsonl") else [text]
    values = [json.loads(line) for line in lines]
    assert values
    assert "\x1b" not in text
    if form == "stix":
        patterns = [o["pattern"] for o in values[0]["objects"] if o["type"] == "indicator"]
        assert f"[ipv4-addr:value = '{POOL}']" in patterns
        assert all(pattern.count(" = '") == 1 and pattern.endswith("']") for pattern in patterns)


@pytest.mark.usefixtures("few_detectors")
@pytest.mark.parametrize("command", ["timeline", "events", "note", "addresses"])
def test_a_terminal_gets_no_control_character(case: Case, command: str) -> None:
    shown = run(command, case.path)
    assert shown.exit_code == 0
    text = shown.stdout + shown.stderr
    assert not any(character in text for character in ("\x1b", "\u202e", "\r"))
    assert "7*7" in text
