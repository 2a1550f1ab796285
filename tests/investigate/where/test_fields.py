"""Fields of filter expressions: sides, tags and wrong names."""

from __future__ import annotations

import pytest

from flowbench.investigate.where.fields import FIELDS, field_names, find_field


def test_a_side_and_a_tag() -> None:
    plain, sided = find_field("vpc"), find_field("dst.vpc")
    assert (plain.side, sided.side, sided.base) == (None, "dst", "vpc")
    tag = find_field("src.tag:cost center")
    assert (tag.side, tag.key, tag.base, tag.name) == (
        "src",
        "cost center",
        "tag:",
        "src.tag:cost center",
    )


def test_the_recording_interface_and_the_interface_of_an_end() -> None:
    assert not find_field("interface").is_of_end
    assert find_field("src.interface").is_of_end


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("prot", "'prot' is not a field; the nearest: proto, port, sport"),
        ("src.dport", r"dport has no side: write it without src\."),
        ("tag:", "the key of the tag is missing: write tag:env"),
        ("src.", "'src.' is not a field"),
        ("x.vpc", "'x.vpc' is not a field"),
    ],
)
def test_wrong_names_are_explained(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_field(name)


def test_every_field_has_a_meaning_and_operators() -> None:
    assert field_names() == [*FIELDS, "tag:"]
    assert all(field.meaning and field.kind.operators for field in FIELDS.values())
