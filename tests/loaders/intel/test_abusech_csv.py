"""abuse.ch in CSV: recognised by the header, named by it."""

from __future__ import annotations

from flowbench.loaders.intel import abusech_csv


def test_recognised_with_few_addresses_among_hashes(load) -> None:
    head = (
        "# ThreatFox IOCs: recent, see also the Feodo blocklist\r\n"
        '# "first_seen_utc","ioc_id","ioc_value","ioc_type","threat_type","malware_printable",'
        '"last_seen_utc","confidence_level","is_compromised"\r\n'
    )
    hashes = '"2026-09-01 01:39:33", "2", "aa00", "md5_hash", "payload", "X", "", "50", "False"\r\n'
    good = '"2026-09-01", "1", "192.0.2.60:8080", "ip:port", "botnet_cc", "X", "", "5", "1"\r\n'
    rows, reasons = load(head + hashes * 9 + good + "# Number of entries: 10\r\n")
    assert [(row["indicator"], row["port"], row["kind"], row["feed"]) for row in rows] == [
        ("192.0.2.60", 8080, "c2", "ThreatFox")
    ]
    assert reasons == ["not an address, network, range or domain"] * 9


def test_urlhaus_pages_and_addresses(load) -> None:
    head = "# id,dateadded,url,url_status,last_online,threat,tags,urlhaus_link,reporter\n"
    line = '"1","2026-09-01 03:04:05","http://{}/a","online","","malware_download","elf","","r"\n'
    rows, reasons = load(head + line.format("a.example") * 3 + line.format("192.0.2.70:8080"))
    assert [(row["indicator"], row["port"], row["feed"]) for row in rows] == [
        ("192.0.2.70", 8080, "URLhaus")
    ]
    assert {reason.partition(":")[0] for reason in reasons} == {"a page on a site"}


def test_feodo_with_a_header_that_is_no_comment(load) -> None:
    rows, _ = load(
        "###\n# Feodo Tracker Botnet C2 IP Blocklist\n###\n"
        '"first_seen_utc","dst_ip","dst_port","c2_status","last_online","malware"\n'
        '"2026-01-02 03:04:05","192.0.2.50","443","online","2026-04-30","QakBot"\n'
    )
    (row,) = rows
    assert (row["kind"], row["port"], row["feed"]) == ("c2", 443, "Feodo Tracker")


def test_only_the_header_decides() -> None:
    assert abusech_csv.matches_head(b"# Firstseen,DstIP,DstPort\r\n")
    assert not abusech_csv.matches_head(b"# Firstseen,DstIP,DstPort,Reason\r\n")
    assert not abusech_csv.matches_head(b"192.0.2.1,DstIP\n")
    assert not abusech_csv.matches_head(b"\0Firstseen,DstIP,DstPort\n")
