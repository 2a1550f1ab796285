"""CloudTrail events in AWS's shapes."""

from __future__ import annotations

from flowbench.scenario import cloudtrail
from flowbench.scenario.network import build

TIME = 1_788_220_800


def test_users_and_roles_have_keys_of_their_kind() -> None:
    assert cloudtrail.user("ada", "AKIAEXAMPLE")["accessKeyId"] == "AKIAEXAMPLE"
    assert "accessKeyId" not in cloudtrail.user("ada")
    session = cloudtrail.role("web", "i-0abc", TIME)
    assert session["accessKeyId"].startswith("ASIAEXAMPLE")
    assert session["sessionContext"]["ec2RoleDelivery"] == "2.0"
    assert "ec2RoleDelivery" not in cloudtrail.role("web", "pipeline", TIME)["sessionContext"]
    assert session["accessKeyId"] != cloudtrail.role("web", "i-0abc", TIME + 86_400)["accessKeyId"]


def test_event_ids_depend_on_the_event_alone() -> None:
    identity = cloudtrail.user("ada", "AKIAEXAMPLE")

    def event(time: float, **options) -> dict:
        return cloudtrail.event(time, identity, "iam", "ListUsers", "192.0.2.1", "cli", **options)

    assert event(TIME) == event(TIME)
    assert event(TIME)["eventID"] != event(TIME + 1)["eventID"]
    assert event(TIME)["eventSource"] == "iam.amazonaws.com"
    denied = event(TIME, error=("AccessDenied", "no"))
    assert (denied["errorCode"], denied["errorMessage"]) == ("AccessDenied", "no")
    assert "errorCode" not in event(TIME)


def test_a_launch_describes_the_host() -> None:
    host = build()["dev-devbox-1"]
    request, response = cloudtrail.run_instances(host, TIME, "t3.medium", "ami-1")
    (instance,) = response["instancesSet"]["items"]
    assert instance["instanceId"] == host.instance
    assert instance["networkInterfaceSet"]["items"][0]["networkInterfaceId"] == host.interface
    assert request["subnetId"] == host.subnet.id


def test_a_security_group_rule_names_port_and_source() -> None:
    request, response = cloudtrail.open_port("sg-1", 22, "192.0.2.0/24")
    (rule,) = response["securityGroupRuleSet"]["items"]
    assert (rule["fromPort"], rule["toPort"], rule["cidrIpv4"]) == (22, 22, "192.0.2.0/24")
    assert request["groupId"] == rule["groupId"] == "sg-1"
