"""The recorder: connections become records, alerts and facts are kept together."""

from __future__ import annotations

from flowbench.scenario import cloudtrail
from flowbench.scenario.exercises.recorder import Recorder, principal_of


def test_an_alert_has_its_fact(recorder: Recorder) -> None:
    host = recorder.organisation.pick("web")
    connection = recorder.connect(
        host.address, "192.0.2.9", 443, recorder.organisation.first + 5_000
    )
    recorder.alert(host, "Backdoor:EC2/C&CActivity.B", [connection], 8.0)
    (alert,), (fact,) = recorder.alerts, recorder.key.facts
    action = alert["service"]["action"]["networkConnectionAction"]
    assert action["remoteIpDetails"]["ipAddressV4"] == fact.object == "192.0.2.9"
    assert alert["type"] == fact.activity
    assert fact.actor == host.address


def test_an_alert_about_credentials_names_them(recorder: Recorder) -> None:
    user = cloudtrail.user("ada", "AKIAEXAMPLE000000001")
    kind = "Stealth:IAMUser/CloudTrailLoggingDisabled"
    recorder.alert_about_key(user, kind, 1e9, ("cloudtrail", "StopLogging"), "192.0.2.9")
    (alert,) = recorder.alerts
    assert alert["resource"]["accessKeyDetails"]["userName"] == "ada"
    assert alert["service"]["action"]["awsApiCallAction"]["api"] == "StopLogging"
    (fact,) = recorder.key.facts
    assert (fact.kind, fact.actor, fact.object) == ("alert", "ada", "192.0.2.9")


def test_connections_outside_the_period_have_no_records(recorder: Recorder) -> None:
    organisation = recorder.organisation
    recorder.connections.clear()
    host = organisation.pick("web").address
    for at in (organisation.first - 9_000, organisation.last + 60):
        recorder.connect(host, "192.0.2.9", 443, at)
    assert all("NODATA" in record.text for record in recorder.records())
    recorder.connect(host, "192.0.2.9", 443, organisation.first + 60)
    assert any("192.0.2.9" in record.text for record in recorder.records())


def test_a_stopped_host_neither_sends_nor_answers(recorder: Recorder) -> None:
    recorder.connections.clear()
    first, host, other = recorder.organisation.first, *recorder.organisation.hosts[:2]
    stop = first + 7_200
    recorder.connect(host.address, "192.0.2.9", 443, first + 60, seconds=20_000, bytes_out=90_000)
    for source, target in ((host, other), (other, host)):
        recorder.connect(source.address, target.address, 443, stop + 600)

    def times() -> list[int]:
        texts = [record.text.split() for record in recorder.records()]
        return [int(fields[10]) for fields in texts if host.address in fields]

    assert max(times()) > first + 19_000
    recorder.stopped[host.interface] = stop
    assert stop - 700 < max(times()) <= stop
    assert min(times()) < first + 120


def test_an_indicator_is_noted_once(recorder: Recorder) -> None:
    for meaning in ("one", "two"):
        recorder.indicator("address", "192.0.2.9", meaning)
        recorder.involve("ada")
    assert [i.meaning for i in recorder.key.indicators] == ["one"]
    assert recorder.key.involved == ["ada"]


def test_principals_have_the_names_of_users_and_sessions() -> None:
    assert principal_of(cloudtrail.user("ada")) == "ada"
    assert principal_of(cloudtrail.role("prod-web", "i-1", 0)) == "prod-web/i-1"
