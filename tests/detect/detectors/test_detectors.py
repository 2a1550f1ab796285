"""Each detector fires on its positive, and stays silent or low on the harmless twin."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect.detectors import beacon
from flowbench.errors import InputError
from flowbench.schema import DEFAULT_FORMAT
from tests.traffic import T0, Record, interface, make_case, refused, talk

HOST, POOL, TOR, SAAS = "10.0.0.5", "203.0.113.50", "198.51.100.9", "203.0.113.200"
HOUR = 3600
LIST = (
    "indicator,kind,feed,confidence,valid_from,valid_until,description\n"
    f"{POOL},mining,pools,90,2026-01-01T00:00:00Z,,a pool\n"
    f"{TOR},tor,exits,95,2026-08-01T00:00:00Z,2026-10-01T00:00:00Z,an exit\n"
    "192.0.2.66,c2,old,80,2025-01-01T00:00:00Z,2025-06-01T00:00:00Z,long gone\n"
    "198.18.7.0/24,scanner,noise,50,,,\n"
    "10.0.0.0/8,c2,careless,100,,,a list that holds whole private networks\n"
)


def beat(
    host: str, peer: str, port: int, period: float, *, hours: float = 12, jitter: float = 0.0,
    seed: int = 1, **fields: object,
) -> Iterator[Record]:  # fmt: skip
    chooser = random.Random(seed)
    at, n = 0.0, 0
    while at < hours * HOUR:
        yield from talk(
            host, peer, port, T0 + int(at + chooser.uniform(-jitter, jitter) * period) + 600,
            source_port=33_000 + n % 30_000, **fields,
        )  # fmt: skip
        at += period
        n += 1


def irregular(
    host: str, peer: str, mean: float, *, hours: float = 12, seed: int = 2
) -> Iterator[Record]:
    chooser = random.Random(seed)
    at, n = chooser.expovariate(1 / mean), 0
    while at < hours * HOUR:
        size = chooser.randrange(200, 90_000)
        yield from talk(host, peer, 443, T0 + int(at), source_port=33_000 + n, out=size)
        at += chooser.expovariate(1 / mean)
        n += 1


def run(case: Case, name: str) -> pd.DataFrame:
    found = detect.run(case, only=[name]).to_pandas()
    assert list(found.columns) == detect.FINDINGS.columns
    for _, row in found.iterrows():  # every finding leads to records
        assert len(case.evidence_for(row)) > 0
    return found


# ---- contact ------------------------------------------------------------------------------


def test_contact_in_the_period_is_high_and_says_what_and_where(tmp_path: Path) -> None:
    case = make_case(tmp_path, talk(HOST, TOR, 443, T0), indicators=LIST)
    (row,) = run(case, "contact").to_dict("records")
    assert (row["severity"], row["subject"], row["peer"]) == ("high", HOST, TOR)
    assert (row["technique"], row["service_port"], row["connections"]) == ("T1090.003", 443, 1)
    assert f"{TOR} as tor in exits" in row["summary"]
    assert row["score"] == 0.95


def test_contact_outside_the_period_is_low_and_says_so(tmp_path: Path) -> None:
    case = make_case(tmp_path, talk(HOST, "192.0.2.66", 443, T0), indicators=LIST)
    (row,) = run(case, "contact").to_dict("records")
    assert row["severity"] == "low"
    assert "expired 2025-06-01" in row["summary"]
    assert "No contact lies in the period" in row["caveats"]


def test_who_sent_nothing_opened_nothing(tmp_path: Path) -> None:
    lone = Record(TOR, HOST, 443, 40_000, T0, T0 + 59, packets=1, bytes=40)
    (row,) = run(make_case(tmp_path, [lone], indicators=LIST), "contact").to_dict("records")
    assert row["severity"] == "low"
    assert "Nothing that the subject sent was logged" in row["caveats"]


def test_only_what_lies_in_the_period_makes_it_grave(tmp_path: Path) -> None:
    late = T0 + 40 * 24 * HOUR  # the exit's period ends after 30 days
    records = [refused(HOST, TOR, 443, T0)]
    for n in range(5):
        records += talk(HOST, TOR, 443, late + n * 900, source_port=41_000 + n)
    (row,) = run(make_case(tmp_path, records, indicators=LIST), "contact").to_dict("records")
    assert row["severity"] == "medium"
    assert "Only 1 of them lie in the period" in row["summary"]


def test_a_log_without_protocol_hides_nothing(tmp_path: Path) -> None:
    fields = ["srcaddr", "dstaddr", "start", "end", "bytes"]
    case = make_case(tmp_path, talk(HOST, TOR, 443, T0), indicators=LIST, fields=fields)
    assert len(run(case, "contact")) == 1


def test_refused_contact_is_medium(tmp_path: Path) -> None:
    case = make_case(tmp_path, [refused(HOST, TOR, 443, T0)], indicators=LIST)
    (row,) = run(case, "contact").to_dict("records")
    assert row["severity"] == "medium"


def test_listed_scanners_from_outside_are_one_low_finding(tmp_path: Path) -> None:
    noise = [
        refused(f"198.18.7.{n}", HOST, 20 + n % 5, T0 + n, source_port=40_000 + n)
        for n in range(60)
    ]
    (row,) = run(make_case(tmp_path, noise, indicators=LIST), "contact").to_dict("records")
    assert (row["severity"], row["subject"], len(row["peers"])) == ("low", HOST, 60)
    assert "60 addresses listed as scanner" in row["summary"]


def test_lists_with_private_networks_flag_nobody(tmp_path: Path) -> None:
    case = make_case(tmp_path, talk(HOST, "10.0.0.9", 443, T0), indicators=LIST)
    assert run(case, "contact").empty


def test_a_listed_domain_leads_through_dns_to_the_flow(tmp_path: Path) -> None:
    lookup = {
        "version": "1.100000", "account_id": "1", "region": "us-east-1", "vpc_id": "vpc-1",
        "query_timestamp": "2026-09-01T00:00:00Z", "query_name": "eu.pool.example.",
        "rcode": "NOERROR", "query_type": "A", "query_class": "IN", "srcaddr": HOST,
        "srcport": "5", "transport": "UDP",
        "answers": [{"Rdata": SAAS, "Type": "A", "Class": "IN"}],
    }  # fmt: skip
    text = "indicator,kind,feed\npool.example,mining,names\n"
    case = make_case(tmp_path, talk(HOST, SAAS, 3333, T0), indicators=text, json_lines=[lookup])
    (row,) = run(case, "contact").to_dict("records")
    assert (row["severity"], row["peer"]) == ("high", SAAS)
    assert "pool.example as mining in names" in row["summary"]


def test_the_nat_gateway_is_not_blamed_for_its_client(tmp_path: Path) -> None:
    nat = "10.0.9.1"
    records = [*talk(HOST, TOR, 443, T0), *talk(nat, TOR, 443, T0, source_port=50_000)]
    own = [interface(HOST, "a"), interface(nat, "n", kind="nat_gateway")]
    found = run(make_case(tmp_path, records, interfaces=own, indicators=LIST), "contact")
    assert found["subject"].tolist() == [HOST]


# ---- beacon -------------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "jitter"), [(5, 0.05), (3, 0.3), (17, 0.2), (60, 0.1)])
def test_a_beat_is_found_and_its_period_is_right(
    tmp_path: Path, minutes: int, jitter: float
) -> None:
    case = make_case(tmp_path, beat(HOST, TOR, 443, minutes * 60, jitter=jitter, hours=24))
    (row,) = run(case, "beacon").to_dict("records")
    assert (row["subject"], row["peer"], row["severity"]) == (HOST, TOR, "medium")
    period = float(row["summary"].split("one every ")[1].split(" min")[0])
    assert period == pytest.approx(minutes, abs=max(0.1, 0.02 * minutes))


def test_a_listed_peer_makes_it_high(tmp_path: Path) -> None:
    case = make_case(tmp_path, beat(HOST, TOR, 443, 300), indicators=LIST)
    (row,) = run(case, "beacon").to_dict("records")
    assert (row["severity"], row["technique"]) == ("high", "T1090.003")
    assert "listed as tor" in row["summary"]


def test_what_many_hosts_call_is_a_service_unless_it_is_listed(tmp_path: Path) -> None:
    records = [r for n in range(1, 5) for r in beat(f"10.0.0.{n}", SAAS, 443, 300, seed=n)]
    assert run(make_case(tmp_path / "1", records), "beacon").empty
    listed = f"indicator,kind,feed\n{SAAS},c2,list\n"
    found = run(make_case(tmp_path / "2", records, indicators=listed), "beacon")
    assert found["severity"].tolist() == ["high"] * 4
    assert "4 inside hosts call it as often" in found["caveats"][0]


def test_what_three_hosts_call_may_be_one_intruder(tmp_path: Path) -> None:
    records = [r for n in range(1, 4) for r in beat(f"10.0.0.{n}", SAAS, 443, 300, seed=n)]
    found = run(make_case(tmp_path, records), "beacon")
    assert found["severity"].tolist() == ["medium"] * 3


@pytest.mark.parametrize(("minutes", "jitter"), [(15, 0.3), (22, 0.25), (60, 0.1)])
def test_a_beat_is_found_through_windows_of_ten_minutes(
    tmp_path: Path, minutes: int, jitter: float
) -> None:
    records = beat(HOST, TOR, 443, minutes * 60, jitter=jitter / 2, hours=24, window=600)
    (row,) = run(make_case(tmp_path, records), "beacon").to_dict("records")
    period = float(row["summary"].split("one every ")[1].split(" min")[0])
    assert period == pytest.approx(minutes, rel=0.03)


@pytest.mark.parametrize("window", [60, 600])
def test_chance_keeps_no_beat_in_any_window(tmp_path: Path, window: int) -> None:
    chooser, records = random.Random(5), []
    for n in range(30):
        at = 0.0
        while at < 24 * HOUR:
            at += chooser.expovariate(1 / (120 + 60 * n))
            peer, port = f"203.0.113.{n}", 33_000 + len(records) % 28_000
            records += talk(HOST, peer, 443, T0 + int(at), source_port=port, window=window)
    assert run(make_case(tmp_path, records, fields=DEFAULT_FORMAT), "beacon").empty


def test_a_blocked_beat_is_shown_apart(tmp_path: Path) -> None:
    records = [refused(HOST, SAAS, 443, T0 + n * 300, source_port=33_000 + n) for n in range(100)]
    (row,) = run(make_case(tmp_path, records), "beacon").to_dict("records")
    assert (row["title"], row["severity"]) == ("Regular calls that are blocked", "medium")


def test_people_do_not_keep_a_beat(tmp_path: Path) -> None:
    records = [r for n in range(12) for r in irregular(HOST, f"203.0.113.{n}", 420, seed=n)]
    assert run(make_case(tmp_path, records), "beacon").empty


def test_one_long_connection_is_no_beacon_though_its_records_are_regular(tmp_path: Path) -> None:
    assert run(make_case(tmp_path, talk(HOST, SAAS, 443, T0, seconds=20 * HOUR)), "beacon").empty


def test_clocks_and_inside_health_checks_are_silent(tmp_path: Path) -> None:
    records = [
        *beat(HOST, "203.0.113.123", 123, 1024, protocol=17, tcp_flags=None),
        *beat("10.0.0.1", HOST, 8080, 180),
    ]
    assert run(make_case(tmp_path, records), "beacon").empty


def test_the_engine_counts_a_beat_as_numpy_does(tmp_path: Path) -> None:
    chance = random.Random(7)
    records: list[Record] = []
    truth: dict[str, list[float]] = {}
    for pair in range(40):  # from a clean beat to none
        at, blur, starts = T0 + 60 * pair, 15 * pair, []
        for n in range(24):
            at += 600 + chance.randint(-blur, blur)
            starts.append(at - at % 60)  # as its window says
            records += talk(HOST, f"203.0.113.{pair + 1}", 443, at, source_port=40_000 + n)
        gaps = np.diff(np.unique(starts)).astype(float)
        usual = gaps[gaps <= 2.5 * np.median(gaps)].mean()
        near = gaps[np.abs(gaps - usual) <= 0.75 * usual]
        variation = np.sqrt(max(0.0, near.var() - 60**2 / 6)) / near.mean()
        regularity = len(near) / len(gaps) * max(0.0, 1 - variation) - 0.5 / np.sqrt(len(gaps))
        spread = np.median(np.abs(gaps - np.median(gaps)))
        low, middle, high = np.quantile(gaps, [0.25, 0.5, 0.75])
        if high - low - 60 <= 0.7 * middle:
            truth[f"203.0.113.{pair + 1}"] = [regularity, near.mean(), spread]
    case = make_case(tmp_path, records)
    pairs = case.connection_summaries.mutate(
        pair=ibis.row_number().over(ibis.window(order_by="responder"))
    )
    numbered = pairs.to_pyarrow()
    for least in (0.5, 0.7, 0.8):
        found = beacon._beats(beacon._calls(case.connections, numbered), 60, least).to_pandas()
        peers = dict(numbered.select(["pair", "responder"]).to_pandas().itertuples(index=False))
        counted = {
            peers[row.pair]: [row.regularity, row.period, row.spread] for row in found.itertuples()
        }
        expected = {peer: parts for peer, parts in truth.items() if parts[0] >= least}
        assert 0 < len(expected) < 40
        assert counted.keys() == expected.keys()
        for peer, parts in expected.items():
            assert counted[peer] == pytest.approx(parts)


@pytest.mark.parametrize(("until", "kinds"), [("2026-08-31", ""), ("2026-09-30", "c2")])
def test_a_peer_is_listed_only_while_the_list_says_so(
    tmp_path: Path, until: str, kinds: str
) -> None:
    text = f"indicator,kind,feed,valid_until\n{SAAS},c2,list,{until}\n"
    case = make_case(tmp_path / "1", beat(HOST, SAAS, 443, 300), indicators=text)
    (row,) = run(case, "beacon").to_dict("records")
    assert row["severity"] == ("high" if kinds else "medium")
    assert (f"listed as {kinds}" in row["summary"]) == bool(kinds)
    shared = [r for n in range(1, 5) for r in beat(f"10.0.0.{n}", SAAS, 443, 300, seed=n)]
    found = run(make_case(tmp_path / "2", shared, indicators=text), "beacon")
    assert len(found) == (4 if kinds else 0)  # unlisted, it is a service of the house


def test_only_who_called_while_it_was_listed_called_a_listed_peer(tmp_path: Path) -> None:
    later = [replace(r, start=r.start + 5 * 86_400, end=r.end + 5 * 86_400)
             for r in beat("10.0.0.7", SAAS, 443, 300)]  # fmt: skip
    text = f"indicator,kind,feed,valid_until\n{SAAS},c2,list,2026-09-03\n"
    records = [*beat(HOST, SAAS, 443, 300), *later]
    found = run(make_case(tmp_path, records, indicators=text), "beacon").set_index("subject")
    assert found["severity"].to_dict() == {HOST: "high", "10.0.0.7": "medium"}


def test_beacon_on_v2_records_alone(tmp_path: Path) -> None:
    case = make_case(tmp_path, beat(HOST, TOR, 443, 300), fields=DEFAULT_FORMAT)
    assert len(run(case, "beacon")) == 1


# ---- mining -------------------------------------------------------------------------------


def mined(peer: str = POOL, port: int = 3333, host: str = HOST) -> list[Record]:
    minutes = 8 * 60
    return list(
        talk(host, peer, port, T0, seconds=minutes * 60, out=minutes * 350, back=minutes * 420)
    )


def test_a_thin_steady_session_on_a_pool_port(tmp_path: Path) -> None:
    (row,) = run(make_case(tmp_path, mined()), "mining").to_dict("records")
    assert (row["severity"], row["peer"], row["service_port"]) == ("high", POOL, 3333)
    assert "sending 349 and receiving 419 bytes a minute" in row["summary"]
    assert "on no list" in row["summary"]


def test_a_listed_pool_on_a_web_port(tmp_path: Path) -> None:
    (row,) = run(make_case(tmp_path, mined(port=443), indicators=LIST), "mining").to_dict("records")
    assert row["severity"] == "high"
    assert f"listed as a mining pool ({POOL})" in row["summary"]


def test_a_pool_is_listed_only_while_the_list_says_so(tmp_path: Path) -> None:
    text = f"indicator,kind,feed,valid_until\n{POOL},mining,list,2026-08-31\n"
    found = run(make_case(tmp_path, mined(port=443), indicators=text), "mining")
    assert set(found["severity"]) <= {"low"}
    assert not found["summary"].str.contains("listed as").any()


def test_records_with_and_without_packet_addresses_are_one_session(tmp_path: Path) -> None:
    (whole,) = run(make_case(tmp_path / "whole", mined()), "mining").to_dict("records")
    mixed = [
        replace(record, pkt_srcaddr=record.srcaddr, pkt_dstaddr=record.dstaddr) if n % 4 else record
        for n, record in enumerate(mined())
    ]
    (row,) = run(make_case(tmp_path / "mixed", mixed), "mining").to_dict("records")
    assert row["summary"] == whole["summary"]


def test_a_quiet_session_on_443_without_a_list_is_low(tmp_path: Path) -> None:
    assert set(run(make_case(tmp_path, mined(SAAS, 443)), "mining")["severity"]) <= {"low"}


def test_bulk_transfer_and_short_calls_are_no_mining(tmp_path: Path) -> None:
    bulk = talk(HOST, SAAS, 3333, T0, seconds=4 * HOUR, out=9_000_000_000, back=40_000_000)
    short = beat(HOST, "203.0.113.4", 3333, 900)
    assert run(make_case(tmp_path, [*bulk, *short]), "mining").empty


def test_a_session_that_is_only_kept_alive_is_no_mining(tmp_path: Path) -> None:
    alive = talk(HOST, SAAS, 8883, T0, seconds=9 * HOUR, out=540 * 62, back=540 * 62, packets=1)
    assert run(make_case(tmp_path, alive), "mining").empty


def test_on_a_web_port_a_service_of_many_hosts_is_no_pool(tmp_path: Path) -> None:
    alone = run(make_case(tmp_path / "1", mined(SAAS, 8000)), "mining")
    assert alone["severity"].tolist() == ["medium"]  # a port of no known use
    many = [r for n in range(1, 5) for r in mined(SAAS, 8000, f"10.0.0.{n}")]
    assert run(make_case(tmp_path / "2", many), "mining").empty
    pool = [r for n in range(1, 5) for r in mined(SAAS, 3333, f"10.0.0.{n}")]
    assert run(make_case(tmp_path / "3", pool), "mining")["severity"].tolist() == ["high"] * 4


# ---- lateral movement ---------------------------------------------------------------------

RDS = interface("10.0.1.10", "db", Description="RDSNetworkInterface", RequesterManaged=True)
EFS = interface("10.0.1.20", "fs", Description="EFS mount target for fs-0a (fsmt-0b)")


def knocks(*doors: tuple[str, int]) -> list[Record]:
    return [
        refused(HOST, address, port, T0 + 60 * n, source_port=40_000 + n, interface_id="eni-z")
        for n, (address, port) in enumerate(doors)
    ]


def test_refused_at_rds_and_efs_is_one_high_finding(tmp_path: Path) -> None:
    doors = [("10.0.1.10", 3306), ("10.0.1.10", 5432), ("10.0.1.20", 2049)] * 3
    case = make_case(tmp_path, knocks(*doors), interfaces=[RDS, EFS])
    (row,) = run(case, "lateral-movement").to_dict("records")
    assert (row["severity"], row["subject"], row["connections"]) == ("high", HOST, 9)
    assert row["peers"].tolist() == ["10.0.1.10", "10.0.1.20"]
    assert "RDS db 10.0.1.10 on 3306/tcp (mysql) 3x" in row["summary"]
    assert "EFS fs 10.0.1.20 on 2049/tcp (nfs) 3x" in row["summary"]


def test_one_door_again_and_again_is_a_lapse_not_a_pattern(tmp_path: Path) -> None:
    case = make_case(tmp_path, knocks(*[("10.0.1.10", 3306)] * 20), interfaces=[RDS])
    assert run(case, "lateral-movement")["severity"].tolist() == ["medium"]


def test_stragglers_of_accepted_connections_are_silent(tmp_path: Path) -> None:
    records = list(talk(HOST, "10.0.1.10", 3306, T0))
    late = Record(
        HOST, "10.0.1.10", 40_000, 3306, T0 + 2000, T0 + 2010, action="REJECT", tcp_flags=4
    )
    refused_once = refused(HOST, "10.0.1.10", 3306, T0 + 9000, source_port=44_000)
    case = make_case(tmp_path, [*records, late, refused_once], interfaces=[RDS])
    assert run(case, "lateral-movement").empty


def test_the_internet_knocking_is_not_lateral(tmp_path: Path) -> None:
    noise = [refused(f"198.18.0.{n}", HOST, 22, T0 + n, source_port=40_000 + n) for n in range(50)]
    assert run(make_case(tmp_path, noise), "lateral-movement").empty


# ---- all of them --------------------------------------------------------------------------


def test_ids_are_stable_and_the_order_is_total(tmp_path: Path) -> None:
    records = [*beat(HOST, TOR, 443, 300), *mined(), *knocks(("10.0.1.10", 22))]
    first = detect.run(make_case(tmp_path / "1", records, indicators=LIST))
    again = detect.run(make_case(tmp_path / "2", reversed(records), indicators=LIST))
    assert first["finding_id"].tolist() == again["finding_id"].tolist()
    assert first["finding_id"].is_unique
    ranks = [detect.SEVERITIES.index(s) for s in first["severity"]]
    assert ranks == sorted(ranks, reverse=True)


def test_the_plan_says_what_cannot_run_and_why(tmp_path: Path) -> None:
    case = make_case(
        tmp_path,
        talk(HOST, TOR, 443, T0),
        fields=["srcaddr", "dstaddr", "srcport", "dstport", "start", "end"],
    )
    plan = detect.plan(case).set_index("detector")
    assert plan.loc["beacon", "runs"]
    assert plan.loc["contact", "reason"] == "not run: the case has no indicators"
    assert plan.loc["lateral-movement", "reason"] == "not run: needs action"
    assert detect.run(case).to_pandas()["detector"].tolist() == [
        "blind-spot"
    ]  # which says what fields lack


def test_an_unknown_detector_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no detector is called nope; there are: beacon, blind-"):
        detect.run(Case.create(tmp_path / "c"), only=["nope"])


def test_an_empty_case_has_no_findings(tmp_path: Path) -> None:
    assert not detect.run(Case.create(tmp_path / "c"))
