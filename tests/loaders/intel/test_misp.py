"""MISP events, manifests and CSV exports."""

from __future__ import annotations

from typing import Any

from flowbench.loaders.intel import misp


def attribute(kind: str, value: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "value": value, "to_ids": True} | more


def test_misp_events(load) -> None:
    event = {"info": "Phishing wave", "Orgc": {"name": "CERT"}, "Attribute": [
        attribute("ip-dst|port", "192.0.2.1|8443", first_seen="2026-09-01T00:00:00+00:00"),
        attribute("domain|ip", "a.example|192.0.2.2", comment="C2 server"),
        attribute("ip-src", "192.0.2.3", to_ids=False),
        attribute("md5", "aa"),
    ], "Object": [{"name": "x", "Attribute": [attribute("ip-src", "2001:db8::1")]}]}  # fmt: skip
    for value in ({"Event": event}, {"response": [{"Event": event}]}):
        rows, reasons = load(value)
        assert [(row["indicator"], row.get("port"), row["kind"]) for row in rows] == [
            ("192.0.2.1", 8443, "phishing"),
            ("a.example", None, "c2"),
            ("192.0.2.2", None, "c2"),
            ("2001:db8::1", None, "phishing"),
        ]
        assert {row["feed"] for row in rows} == {"MISP: CERT: Phishing wave"}
        assert [reason[:32] for reason in reasons] == [
            "an attribute not marked for dete", "an attribute of type 'md5': not "
        ]  # fmt: skip
    uuid = "5ec9f5b3-1a2c-4d3e-8f90-0a1b2c3d4e5f"
    assert load({uuid: {"info": "x", "Orgc": {"name": "c"}, "timestamp": "1"}}) == ([], [])


def test_misp_csv(load) -> None:
    rows, reasons = load(
        "uuid,event_id,category,type,value,comment,to_ids,date\n"
        'u,1,"Network activity","ip-dst|port","192.0.2.1|22","brute force",1,20260901\n'
        'u,1,"Network activity",ip-dst,192.0.2.2,"",0,20260901\nshort,1\n',
        "export.csv",
    )
    assert [(row["indicator"], row["port"], row["kind"], row["feed"]) for row in rows] == [
        ("192.0.2.1", 22, "brute-force", "MISP: export")
    ]
    assert len(reasons) == 2


def test_broken_events(load) -> None:
    event = {"info": "x", "Attribute": [5, {}, attribute("url", "http://a.example/page")],
             "Object": [7, {"Attribute": "x"}], "Tag": [None, {"name": 3}]}  # fmt: skip
    rows, reasons = load({"Event": event})
    assert rows == []
    assert [reason.partition(":")[0] for reason in reasons] == [
        "not an attribute",
        "an attribute of type ''",
        "a page on a site",
    ]
    assert misp.matches({"not a uuid": {"info": "x", "Orgc": {}}}) is None
    assert misp.matches([{"Event": {"no": "info"}}]) is None
