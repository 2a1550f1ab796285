"""Values of a policy: what is accepted, and what is an error that quotes the text."""

from __future__ import annotations

import pytest

from flowbench.segmentation import values


@pytest.mark.parametrize(
    ("convert", "text", "expected"),
    [
        (values.network, "192.0.2.0/24", ("192.0.2.0", "192.0.2.255")),
        (values.network, "2001:db8::/126", ("2001:db8::", "2001:db8::3")),
        (values.address, "2001:DB8:0::7", ("2001:db8::7", "2001:db8::7")),
        (values.country, "CH", "CH"),
        (values.ports, "443", (443, 443)),
        (values.ports, "8000 - 8100", (8000, 8100)),
        (values.protocol, "TCP", 6),
        (values.protocol, "255", 255),
    ],
)
def test_accepted_values(convert, text: str, expected: object) -> None:
    assert convert(text) == expected


@pytest.mark.parametrize(
    ("convert", "text"),
    [
        (values.network, "192.0.2.1/24"),
        (values.network, "192.0.2.0/33"),
        (values.address, "192.0.2.0/24"),
        (values.address, "192.0.2.256"),
        (values.country, "che"),
        (values.country, "CH\n"),
        (values.ports, "0"),
        (values.ports, "65536"),
        (values.ports, "20-10"),
        (values.ports, "٤٤٣"),
        (values.protocol, "256"),
        (values.protocol, "-1"),
    ],
)
def test_rejected_values_are_quoted(convert, text: str) -> None:
    with pytest.raises(ValueError, match="is not a") as error:
        convert(text)
    assert repr(text)[1:-1] in str(error.value) or text in str(error.value)


def test_identifiers_have_the_prefix_of_their_kind() -> None:
    assert values.identifier("security-groups", "sg-0f") == "sg-0f"
    for text in ("subnet-0f", "sg-", "sg-0f;", "production", "sg-0f\n"):
        with pytest.raises(ValueError, match="not an identifier of security-groups"):
            values.identifier("security-groups", text)


def test_a_rule_in_words() -> None:
    words = values.describe_rule(("a", "b"), ("any",), ((80, 80), (1, 9)), (6, 47), allow=False)
    assert words == "a, b must not reach any on 80, 1-9 by tcp, protocol 47"
    assert values.describe_rule(("a",), ("b",), (), (), allow=True) == "a may reach b"
