"""Values of filter expressions: units, ranges, times and addresses."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbench.investigate.where import values
from flowbench.investigate.where.values import Moment, Range


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (values.read_address, "10.0.0.5", "10.0.0.5"),
        (values.read_address, "2001:DB8:0::1", "2001:db8::1"),
        (values.read_address, "::ffff:10.0.0.5", "10.0.0.5"),
        (values.read_address, "10.0.0.5%vpc-0aaa", "10.0.0.5%vpc-0aaa"),
        (values.read_address, "10.1.2.3/8", ipaddress.ip_network("10.0.0.0/8")),
        (values.read_address, "::ffff:10.0.0.0/104", ipaddress.ip_network("10.0.0.0/8")),
        (values.read_port, "22", 22),
        (values.read_port, "8000-8100", Range(8000, 8100)),
        (values.read_protocol, "TCP", 6),
        (values.read_protocol, "47", 47),
        (values.read_size, "1500", 1500),
        (values.read_size, "1.5kB", 1500),
        (values.read_size, "2MiB", 2_097_152),
        (values.read_size, "3 GB", 3_000_000_000),
        (values.read_duration, "90", timedelta(seconds=90)),
        (values.read_duration, "1.5h", timedelta(minutes=90)),
        (values.read_duration, "2m", timedelta(minutes=2)),
        (values.read_country, "de", "DE"),
        (values.read_bool, "No", False),
    ],
)
def test_values_are_canonical(read, text: str, value: object) -> None:
    assert read(text) == value
    assert read(values.format_value(value)) == value


@pytest.mark.parametrize(
    ("text", "since", "seconds"),
    [
        ("2026-09-02", datetime(2026, 9, 2, tzinfo=UTC), 86_400),
        ("2026-09-02T03", datetime(2026, 9, 2, 3, tzinfo=UTC), 3_600),
        ("2026-09-02T03:10", datetime(2026, 9, 2, 3, 10, tzinfo=UTC), 60),
        ("2026-09-02 03:10:15Z", datetime(2026, 9, 2, 3, 10, 15, tzinfo=UTC), 1),
        ("2026-09-02T03:10+05:30", datetime(2026, 9, 1, 21, 40, tzinfo=UTC), 60),
        ("2026-09-02T03:10:15.5", datetime(2026, 9, 2, 3, 10, 15, 500_000, UTC), 1e-6),
    ],
)
def test_times_are_as_precise_as_written(text: str, since: datetime, seconds: float) -> None:
    moment = values.read_time(text)
    assert moment == Moment(since, since + timedelta(seconds=seconds))
    assert values.read_time(values.format_value(moment)) == moment


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (values.read_address, "10.0.0"),
        (values.read_address, "10.0.0.0/33"),
        (values.read_address, "10.0.0.5%a b"),
        (values.read_port, "65536"),
        (values.read_port, "100-22"),
        (values.read_port, "ssh"),
        (values.read_protocol, "256"),
        (values.read_size, "1.5"),
        (values.read_size, "1XB"),
        (values.read_size, "99999999999TB"),
        (values.read_size, "1e5"),
        (values.read_count, "9223372036854775808"),
        (values.read_duration, "5 years"),
        (values.read_duration, "9999999999h"),
        (values.read_time, "yesterday"),
        (values.read_time, "2026-02-30"),
        (values.read_time, "9999-12-31"),
        (values.read_time, "0001-01-01T00:00+02:00"),
        (values.read_country, "Germany"),
        (values.read_bool, "1"),
    ],
)
def test_other_texts_are_refused_with_what_was_expected(read, text: str) -> None:
    with pytest.raises(ValueError, match=r"^(an?|yes|tcp|icmp)\b"):
        read(text)


@given(st.text(max_size=30))
def test_no_text_breaks_a_reader(text: str) -> None:
    for read in (values.read_address, values.read_size, values.read_time, values.read_duration):
        try:
            value = read(text)
        except ValueError:
            continue
        assert read(values.format_value(value)) == value


def test_the_nearest_words_are_named() -> None:
    read = values.choice({"inbound": "inbound", "outbound": "outbound"}, "a direction")
    assert read("INBOUND") == "inbound"
    with pytest.raises(ValueError, match=r"a direction; the nearest: inbound$"):
        read("inbund")


def test_protocols_are_written_by_name() -> None:
    assert [values.format_protocol(v) for v in (6, 47, Range(1, 6))] == ["tcp", "47", "1-6"]
