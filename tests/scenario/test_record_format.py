"""The fields of each version, and the packets of a record."""

from __future__ import annotations

import pytest

from flowbench.scenario.record_format import FIELD_COUNTS, FIELDS, count_packets
from flowbench.schema import DEFAULT_FORMAT, VPC_FIELDS


@pytest.mark.parametrize("version", FIELD_COUNTS)
def test_a_version_has_the_fields_up_to_it(version: int) -> None:
    names = [name.replace("-", "_") for name in FIELDS.split(" ")[: FIELD_COUNTS[version]]]
    assert names == [name for name, f in VPC_FIELDS.items() if (f.version or 0) <= version]
    assert version != 2 or tuple(names) == DEFAULT_FORMAT


@pytest.mark.parametrize(
    ("size", "attempts", "flags", "packets", "counted"),
    [
        (0, 3, 2, 3, 180),  # a SYN has 60 bytes
        (40, 0, 4, 1, 40),
        (7_000, 0, 0, 11, 7_000),
        (7_000, 0, 3, 14, 7_000),  # SYN, FIN and an acknowledgement
        (80, 0, 3, 2, 80),  # no packet is smaller than its headers
        (0, 0, 0, 1, 40),
    ],
)
def test_packets_and_bytes(size, attempts, flags, packets, counted) -> None:
    assert count_packets(size, attempts, flags, 700) == (packets, counted)
