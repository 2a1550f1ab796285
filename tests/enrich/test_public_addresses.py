"""Public addresses of the monitored network in the address inventory."""

from __future__ import annotations

from typing import Any

import pytest

from tests.traffic import T0, connect, interface, make_case

A, B, B2 = "10.0.1.5", "10.0.2.9", "10.0.2.10"
EIP, OTHER = "192.0.2.44", "192.0.2.45"


def public_rows(folder: Any, **evidence: Any) -> list[dict[str, Any]]:
    case = make_case(folder, connect(A, EIP, 443, T0), **evidence)
    rows = case.addresses.filter(case.addresses.address.isin([EIP, OTHER]))
    return rows.order_by("address", "interface_id").to_pyarrow().to_pylist()


def private(address: str, public: str) -> dict[str, Any]:
    return {"PrivateIpAddress": address, "Association": {"PublicIp": public}}


TWO = [private(B, OTHER), private(B2, EIP)]
ATTACHED = {"Attachment": {"InstanceId": "i-b"}, "VpcId": "vpc-1"}


@pytest.mark.parametrize(
    ("interfaces", "answers", "expected"),
    [
        # the interface's own association, and that of a second private address
        ([interface(B, "b", Association={"PublicIp": EIP}, **ATTACHED)], [], [(EIP, B)]),
        (
            [interface(B, "b", PrivateIpAddresses=TWO, **ATTACHED)],
            [],
            [(EIP, B2), (OTHER, B)],
        ),
        # describe-addresses beside an interface, or alone
        (
            [interface(B, "b", **ATTACHED)],
            [{"PublicIp": EIP, "NetworkInterfaceId": "eni-b", "PrivateIpAddress": B}],
            [(EIP, B)],
        ),
        (
            None,
            [{"PublicIp": EIP, "NetworkInterfaceId": "eni-b", "PrivateIpAddress": B,
              "InstanceId": "i-b"}],
            [(EIP, B)],
        ),
    ],
)  # fmt: skip
def test_a_public_address_has_the_interface_that_it_maps_to(
    tmp_path, interfaces, answers, expected
) -> None:
    answers = [{"Addresses": [each | {"AllocationId": "eipalloc-1"}]} for each in answers]
    rows = public_rows(tmp_path, interfaces=interfaces, json_lines=answers)
    assert [(row["address"], row["private_address"]) for row in rows] == expected
    assert {(row["interface_id"], row["instance_id"], row["internal"]) for row in rows} == {
        ("eni-b", "i-b", True)
    }
    assert {row["known_from"] for row in rows} == {"inventory"}


@pytest.mark.parametrize(
    ("answer", "instance"),
    [
        ({"Addresses": [{"PublicIp": EIP, "AllocationId": "eipalloc-1"}]}, None),
        ({"Instances": [{"InstanceId": "i-b", "ImageId": "a", "PublicIpAddress": EIP}]}, "i-b"),
    ],
)
def test_a_public_address_without_a_known_interface(tmp_path, answer, instance) -> None:
    (row,) = public_rows(tmp_path, json_lines=[answer])
    assert (row["interface_id"], row["instance_id"], row["internal"]) == (None, instance, True)
    assert row["private_address"] is None


def test_an_external_address_stays_one(tmp_path) -> None:
    (row,) = public_rows(tmp_path, interfaces=[interface(B, "b")])
    assert (row["internal"], row["interface_id"], row["private_address"]) == (False, None, None)
