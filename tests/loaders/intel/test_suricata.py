"""Suricata and Snort rules."""

from __future__ import annotations

from flowbench.loaders.intel import suricata


def test_rules(load) -> None:
    rows, reasons = load(
        "# ET\nalert tcp $HOME_NET any -> [192.0.2.1,198.51.100.0/24] 443 "
        '(msg:"ET CNC Feodo Tracker Reported CnC Server group 1"; sid:1;)\n'
        'alert http $HOME_NET any -> $EXTERNAL_NET any (msg:"x"; sid:2;)\n',
        "botcc.rules",
    )
    assert [(row["indicator"], row["port"], row["kind"]) for row in rows] == [
        ("192.0.2.1", 443, "c2"),
        ("198.51.100.0/24", 443, "c2"),
    ]
    assert reasons == ["a rule without addresses"]


def test_variables_negations_and_port_groups() -> None:
    line = 'drop ip [!192.0.2.1,192.0.2.2,nonsense] $PORTS <> any [80,443] (msg:"Tor exit"; sid:1;)'
    row, rejected = suricata.read_lines([(3, line)], "list")
    assert isinstance(row, dict)
    assert (row["indicator"], row["port"], row["kind"], row["line"]) == (
        "192.0.2.2",
        None,
        "tor",
        3,
    )
    assert rejected == (3, line, "not an address, network, range or domain: 'nonsense'")
    assert list(suricata.read_lines([(1, "no rule")], "list")) == [(1, "no rule", "not a rule")]
