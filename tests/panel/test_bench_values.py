"""Values that the filter line completes."""

from __future__ import annotations

from flowbench.panel.bench_values import Completion, known_values
from tests.traffic import T0, connect, interface, make_case


def test_values_of_the_inventory_and_keys_of_tags(tmp_path) -> None:
    tags = [{"Key": "Name", "Value": "web <1>"}, {"Key": "env", "Value": "prod"}]
    listed = [interface("10.0.0.5", "a", TagSet=tags, VpcId="vpc-1")]
    case = make_case(tmp_path, connect("10.0.0.5", "203.0.113.9", 443, T0), interfaces=listed)
    values = known_values(case)
    assert (values["vpc"], values["name"], values["subnet"]) == (["vpc-1"], ["web <1>"], [])
    assert (values["interface"], values["tag:"]) == (["eni-a"], ["Name", "env"])
    completion = Completion(case)
    assert completion.complete("vpc = vp", None)["words"] == ["vpc-1"]
    assert completion.complete("vp = 1", 2) == {
        "text": "vp = 1",
        "words": ["vpc", "src.vpc", "dst.vpc"],
        "start": 0,
        "end": 2,
    }
