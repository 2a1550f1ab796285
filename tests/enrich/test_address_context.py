"""Country, network, cloud and names of addresses together, and in the case's address inventory."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from flowbench.case import Case
from flowbench.enrich import address_context, inventory
from tests.incident_case import EXIT, HOST, POOL, dns_query, make_incident_case
from tests.traffic import T0

CLOUD = {"createDate": "2026-08-01-00-00-00", "prefixes": [
    {"ip_prefix": "203.0.113.0/24", "service": "EC2", "region": "eu-west-1"}]}  # fmt: skip
LAND = "network,country_code,asn,as_name\n203.0.113.0/24,NL,AS64501,<b>Pool</b> Hosting\n"


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder: Path = tmp_path_factory.mktemp("context") / "incident"
    case = make_incident_case(folder)
    (folder / "clouds.json").write_text(json.dumps(CLOUD))
    (folder / "land-2026-08-15.csv").write_text(LAND)
    many = [dns_query(T0 + n, f"n{n:02}.example.") for n in range(30)]
    (folder / "many.log").write_text("\n".join(map(json.dumps, many)))
    loaded = case.ingest(
        folder / "clouds.json", folder / "land-2026-08-15.csv", folder / "many.log"
    )
    assert loaded["quarantined"].sum() == 0
    return case


def row(case: Case, address: str) -> dict:
    rows = case.addresses.filter(case.addresses.address == address).to_pyarrow().to_pylist()
    return rows[0]


def test_the_inventory_has_the_context_of_external_addresses(case) -> None:
    source = case.evidence.set_index("file")["evidence_id"]
    pool = row(case, POOL)
    assert {name: pool[name] for name in address_context.TABLE.columns if name != "names"} == {
        "address": POOL,
        "country": "NL",
        "country_source": f"land-2026-08-15 2026-08-15 [{source['land-2026-08-15.csv']}]",
        "asn": 64501,
        "network_owner": "<b>Pool</b> Hosting",
        "network_source": f"land-2026-08-15 2026-08-15 [{source['land-2026-08-15.csv']}]",
        "cloud": "aws",
        "cloud_service": "EC2",
        "cloud_services": ["EC2"],
        "cloud_region": "eu-west-1",
        "cloud_source": f"aws ranges 2026-08-01 [{source['clouds.json']}]",
        "name_count": 31,
    }
    assert pool["names"][0] == "eu.pool.example"  # looked up most often
    assert len(pool["names"]) == address_context.NAMES_SHOWN
    assert pool["kinds"] == ["mining"]


def test_missing_context_is_null(case) -> None:
    exit_ = row(case, EXIT)
    nothing = set(address_context.TABLE.columns) - {"address", "name_count"}
    assert {exit_[name] for name in nothing} == {None}
    assert exit_["name_count"] == 0
    assert row(case, HOST)["country"] is None


def test_every_row_of_an_address_has_its_context(case) -> None:
    book = pa.table({"address": [POOL, HOST, POOL], "row": [1, 2, 3]})
    rows = address_context.add_context(
        book, ranges=case.table("geography"), clouds=case.table("cloud_ranges"), dns=case.dns
    )
    assert rows["row"].to_pylist() == [1, 2, 3]
    assert rows["asn"].to_pylist() == [64501, None, 64501]
    assert rows["name_count"].to_pylist() == [31, 0, 31]
    assert rows.column_names == ["address", "row", *address_context.TABLE.columns[1:]]


def test_the_inventory_has_its_declared_columns(case) -> None:
    book = case.addresses
    assert list(book.columns) == [*inventory.TABLE.columns, *address_context.TABLE.columns[1:]]
    listed = book.address.to_pyarrow().to_pylist()
    assert listed == sorted(listed)
