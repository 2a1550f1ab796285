"""The two ends of a connection as initiator and responder."""

from __future__ import annotations

from flowbench import engine
from flowbench.connections.initiator import with_ownership
from flowbench.connections.roles import with_roles
from flowbench.connections.sessions import join_records
from tests.connections.conftest import stage
from tests.traffic import T0, connect, make_case

LOW, HIGH = "10.0.0.5", "203.0.113.7"


def test_either_end_may_be_the_initiator(tmp_path) -> None:
    records = [*connect(LOW, HIGH, 443, T0, out=500), *connect(HIGH, LOW, 22, T0, out=700)]
    staged = stage(make_case(tmp_path, records), tmp_path / "parts")
    backend = staged.addresses.get_backend()
    with join_records(
        backend, engine.read_parquet(backend, staged.parts[0]), staged.own, 600
    ) as joined:
        owned = with_ownership(joined)
        roles = with_roles(owned.mutate(low_clients=0, high_clients=0))
        rows = backend.to_pyarrow(roles.order_by("service_port")).to_pylist()
    ids = {row["address"]: row["id"] for row in staged.addresses.to_pyarrow().to_pylist()}
    names = ("initiator", "responder", "service_port", "bytes_out", "bytes_in", "direction")
    assert [tuple(row[name] for name in names) for row in rows] == [
        (ids[HIGH], ids[LOW], 22, 700, 3_000, "inbound"),
        (ids[LOW], ids[HIGH], 443, 500, 3_000, "outbound"),
    ]
