"""Records at the edge of periods: all of a connection is in the period in which it ends."""

from __future__ import annotations

from flowbench.connections.crossing import Moves
from flowbench.connections.staging import low_and_high
from tests.connections.conftest import stage
from tests.traffic import T0, connect, make_case

A, OUT = "10.0.0.5", "203.0.113.7"


def test_records_are_moved_to_the_period_in_which_their_block_ends(tmp_path) -> None:
    lasting = list(connect(A, OUT, 443, T0, seconds=3_000))
    short = [r for n in range(50) for r in connect(A, OUT, 80, T0 + 60 * n, source_port=50_000 + n)]
    again = list(connect(A, OUT, 443, T0 + 9_000))  # the same ends, after the idle timeout
    staged = stage(make_case(tmp_path, [*lasting, *short, *again]), tmp_path / "parts", 60)
    backend = staged.addresses.get_backend()
    moves = Moves(backend, staged, 600, tmp_path / "moved")
    counts = []
    for number in staged.parts:
        records = moves.records(number)
        low, high = low_and_high(records.ports)
        of_client = records.filter((low == 40_000) | (high == 40_000))
        counts.append((of_client.count().execute(), records.count().execute()))
    assert sum(total for _lasting, total in counts) == len(lasting) + len(short) + len(again)
    assert len(counts) == 4
    assert [some for some, _total in counts] == [0, 0, 0, len(lasting) + len(again)]


def test_one_period_has_its_records(tmp_path) -> None:
    records = list(connect(A, OUT, 443, T0, seconds=3_000))
    staged = stage(make_case(tmp_path, records), tmp_path / "parts")
    moves = Moves(staged.addresses.get_backend(), staged, 600, tmp_path / "moved")
    assert moves.records(0).count().execute() == len(records)
    assert not (tmp_path / "moved").exists()
