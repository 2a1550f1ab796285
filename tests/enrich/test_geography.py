"""Countries and network owners: which database is believed, and that each answer names it."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path

import pytest

from flowbench.case import Case
from flowbench.enrich import geography

OLD = "start_ip,end_ip,country_code,asn,as_name\n81.2.69.0,81.2.69.255,FR,AS64500,Old & Sons\n"
NEW = "81.2.69.142,81.2.69.142,DE\n10.0.0.0,10.0.0.255,AQ\n"


def located(case: Case, *addresses: str) -> dict[str, dict]:
    rows = geography.locate(addresses, case.table("geography")).to_pylist()
    assert [row["address"] for row in rows] == list(addresses)
    return {row.pop("address"): row for row in rows}


@pytest.fixture
def case(tmp_path: Path) -> Case:
    (tmp_path / "old-2020-01.csv").write_text(OLD)
    (tmp_path / "new-2026-02-03.csv").write_text(NEW)
    case = Case.create(tmp_path / "case")
    case.ingest(tmp_path / "new-2026-02-03.csv", tmp_path / "old-2020-01.csv")
    return case


def test_the_latest_database_with_an_answer_is_used(case) -> None:
    source = dict(zip(case.evidence["file"], case.evidence["evidence_id"], strict=True))
    new = f"new-2026-02-03 2026-02-03 [{source['new-2026-02-03.csv']}]"
    old = f"old-2020-01 2020-01-01 [{source['old-2020-01.csv']}]"
    asked = located(case, "81.2.69.142", "81.2.69.1", "10.0.0.7", "10.9.9.9")
    owner = {"asn": 64500, "network_owner": "Old & Sons", "network_source": old}
    no_network = {"asn": None, "network_owner": None, "network_source": None}
    assert asked == {
        "81.2.69.142": {"country": "DE", "country_source": new, **owner},
        "81.2.69.1": {"country": "FR", "country_source": old, **owner},
        "10.0.0.7": {"country": "AQ", "country_source": new, **no_network},
        "10.9.9.9": {"country": None, "country_source": None, **no_network},
    }


def test_the_order_of_loading_changes_nothing(case, tmp_path) -> None:
    other = Case.create(tmp_path / "other")
    for name in ("old-2020-01.csv", "new-2026-02-03.csv"):
        other.ingest(tmp_path / name)
    asked = ("81.2.69.142", "81.2.69.1", "8.8.8.8")
    assert located(other, *asked) == located(case, *asked)


def test_without_a_database_the_registries_are_used(tmp_path) -> None:
    case = Case.create(tmp_path / "case")
    asked = located(case, "81.2.69.142", "2001:218::1", "10.0.0.1", "203.0.113.5", "not one")
    assert [row["country"] for row in asked.values()] == ["GB", "JP", None, None, None]
    source = asked["81.2.69.142"]["country_source"]
    assert re.fullmatch(r"iptocc [\d.]+ \(registries \d{4}-\d\d-\d\d\)", source)
    assert asked["10.0.0.1"]["country_source"] is None
    assert {row["asn"] for row in asked.values()} == {None}


def test_real_databases_together(tmp_path, samples) -> None:
    for name in ("GeoLite2-Country-Test", "GeoLite2-ASN-Test"):
        shutil.copy(samples / f"geo/maxmind-test/{name}.mmdb", tmp_path / f"{name}.mmdb")
    case = Case.create(tmp_path / "case")
    assert case.ingest(*tmp_path.glob("*.mmdb"))["quarantined"].sum() == 0
    asked = located(case, "1.128.0.1", "81.2.69.142", "2001:218::5")
    assert [row["country"] for row in asked.values()] == ["AU", "GB", "JP"]
    assert asked["1.128.0.1"]["asn"] == 1221
    assert asked["1.128.0.1"]["country_source"].startswith("iptocc")  # the test file knows it not
    assert asked["81.2.69.142"]["country_source"].startswith("GeoLite2-Country 2026-02-04 [")


def test_a_hundred_thousand_addresses_at_once(case) -> None:
    chance = random.Random(4)
    asked = [".".join(str(chance.randrange(256)) for _ in range(4)) for _ in range(100_000)]
    rows = geography.locate(asked, case.table("geography"))
    assert rows.num_rows == 100_000
    assert 80_000 < rows["country"].length() - rows["country"].null_count < 95_000
