"""The tables of a case."""

from __future__ import annotations

import time

import pytest

from flowbench.case import Case
from flowbench.errors import CaseError, InputError


def test_extra_columns_of_some_files_are_null_in_the_others(case, tmp_path) -> None:
    (tmp_path / "a.log").write_text(
        "srcaddr dstaddr ecs-task-id brand-new\n10.0.0.1 10.0.0.2 t x\n"
    )
    (tmp_path / "b.log").write_text("srcaddr dstaddr\n10.0.0.3 10.0.0.4\n")
    case.ingest(tmp_path / "a.log", tmp_path / "b.log")
    rows = case.flows.order_by("srcaddr").to_pyarrow()
    assert rows["ecs_task_id"].to_pylist() == ["t", None]
    assert rows["brand_new"].to_pylist() == ["x", None]
    assert case.flows.count().execute() == 2


def test_a_missing_part_is_named_with_the_remedy(case, logs) -> None:
    case.ingest(logs)
    part = next((case.path / "tables" / "flows").iterdir())
    part.unlink()
    with pytest.raises(CaseError, match=rf"among them {part.name}: load the same"):
        _ = Case.open(case.path).flows


def test_materialized_rows_are_dropped_at_the_end_of_the_with(case, logs) -> None:
    case.ingest(logs)
    flows = case.flows

    def kept() -> int:
        return len(case._connection.con.execute("SHOW TABLES").fetchall())

    before = kept()
    with case.materialized(flows.group_by("dstport").aggregate(bytes=flows.bytes.sum())) as sums:
        assert sums.schema()["bytes"].is_int64()
        assert sums.bytes.sum().execute() == flows.bytes.sum().execute()
        assert kept() == before + 1
    assert kept() == before
    with pytest.raises(ZeroDivisionError):
        _fails_with(case)
    assert kept() == before


def _fails_with(case: Case) -> None:
    with case.materialized(case.flows.limit(1)):
        _ = 1 / 0


def test_api_events_and_alerts_have_each_id_once(winterday) -> None:
    for name, key in (("api_events", "event_id"), ("alerts", "alert_id")):
        ids = winterday.table(name)[key].to_pandas()
        assert len(ids) > 0
        assert ids.is_unique


def test_a_table_that_does_not_exist_is_refused_with_the_names(case) -> None:
    names = "address_zones, alerts, "
    with pytest.raises(InputError, match=f"'nonsense' is not a table: choose one of {names}"):
        case.table("nonsense")


def test_a_load_renews_what_was_computed(case, logs) -> None:
    case.ingest(logs / "0.log.gz")
    before = case.flows.count().execute(), case.connections.count().execute(), case.span
    case.ingest(logs)
    assert case.flows.count().execute() > before[0]
    assert case.connections.count().execute() > before[1]
    assert case.span[1] > before[2][1]


def test_an_empty_case_has_every_table_and_no_rows(case) -> None:
    for name in ("flows", "connections", "addresses", "indicator_matches", "address_assignments"):
        assert getattr(case, name).count().execute() == 0
    assert case.span == (None, None)
    assert case.fields == set()
    assert not case.has("flows")
    assert not case.has("policy")


def test_columns_are_completed_at_once(winterday) -> None:
    connections = winterday.connections
    began = time.process_time()
    assert {"initiator", "service_port", "bytes_out"} <= set(dir(connections))
    assert time.process_time() - began < 1


def test_a_stream_has_every_row(case, logs) -> None:
    case.ingest(logs)
    assert sum(batch.num_rows for batch in case.stream(case.flows)) == 600
