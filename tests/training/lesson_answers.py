"""The answers to the lessons' questions, computed from the cases, and the files with their digests.

``ANSWERS`` has for each lesson a function that returns by question the right answer and typical
wrong ones, in the order in which the lesson explains them. After a change of evidence, questions or
answers, write the digests again:

    python -m tests.training.lesson_answers
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from flowbench.case import Case
from flowbench.scenario import exercises
from flowbench.training import evidence, lesson_files
from tests.conftest import ROOT

Answers = dict[str, tuple[Any, list[Any]]]  # by question: the right answer, the wrong ones

WINTERDAY = json.loads((ROOT / "data" / "winterday" / "answers.json").read_text(encoding="utf-8"))
OFFICE, BASTION, INTRUDER = "198.51.100.40", "10.40.0.185", WINTERDAY["session"]["address"]
MINER, POOL, TOR = WINTERDAY["address"], WINTERDAY["pool"]["address"], WINTERDAY["tor"]["address"]
LICENCE, MOVED, EXPIRED = "10.20.16.94", "10.40.17.27", "203.0.113.200"  # benign, in answers.json
INBOUND = "FROM connections WHERE direction = 'inbound'"
LOGIN = "direction = 'inbound' AND answered AND service_port = 22"


def value(case: Case, query: str) -> Any:
    """The first value that a query gives."""
    return case.sql(query).iloc[0, 0]


def values(case: Case, query: str) -> list[Any]:
    """The first column that a query gives."""
    return case.sql(query).iloc[:, 0].tolist()


def one_record(case: Case) -> Answers:
    pair = f"{OFFICE!r} IN (srcaddr, dstaddr) AND packets > 20 ORDER BY start, dstport LIMIT 2"
    first, reply = case.sql(f"SELECT * FROM flows WHERE {pair}").to_dict("records")
    seconds = (first["end"] - first["start"]).total_seconds()
    size = round(first["bytes"] / first["packets"])
    both = first["bytes"] + reply["bytes"]
    return {
        "receiver": (BASTION, [OFFICE]),
        "service-port": (22, [first["srcport"], first["protocol"]]),
        "window": (seconds, [60]),
        "packet-size": (size, [first["bytes"], first["packets"]]),
        "reply-bytes": (reply["bytes"], [first["bytes"], both]),
        "accept": ("allowed", ["logged-in", "answered"]),
    }


def accepted_and_rejected(case: Case) -> Answers:
    def count(condition: str, what: str = "*") -> int:
        return value(case, f"SELECT count({what}) FROM flows WHERE {condition}")

    skipped = "SELECT DISTINCT interface_id FROM flows WHERE log_status = 'SKIPDATA'"
    silent = f"SELECT interface_id FROM flows WHERE interface_id NOT IN ({skipped}) ORDER BY 1"
    session = f"srcaddr = {OFFICE!r} AND srcport = 10465"
    rejected = f"action = 'REJECT' AND srcaddr = {MINER!r}"
    services = {each["address"] for each in WINTERDAY["rejected"]["services"]}
    cache = f"SELECT dstaddr FROM flows WHERE action = 'REJECT' AND srcaddr = {MOVED!r}"
    return {
        "rejected": (
            count("action = 'REJECT'"),
            [count("action IS DISTINCT FROM 'ACCEPT'"), count("action = 'ACCEPT'")],
        ),
        "lost": (values(case, skipped), [value(case, silent)]),
        "interval": (
            60,
            [600, 59, value(case, 'SELECT max(epoch("end") - epoch(start)) FROM flows')],
        ),
        "windows": (
            count(session),
            [count(f"{OFFICE!r} IN (srcaddr, dstaddr) AND 10465 IN (srcport, dstport)")],
        ),
        "persistent": (MOVED, [value(case, f"{cache} AND dstport = 6379"), MINER]),
        "targets": (
            len(services),
            [
                count(rejected + " AND dstport < 9999", "DISTINCT dstport"),
                count(rejected + " AND dstport IN (3306, 5432, 2049)"),
            ],
        ),
        "proof": ("not-allowed", ["denied", "offline"]),
    }


def connections(case: Case) -> Answers:
    sent = f"FROM flows WHERE srcaddr = {OFFICE!r} AND srcport = 10465"
    received = f"FROM flows WHERE dstaddr = {OFFICE!r} AND dstport = 10465"
    outgoing = value(case, f"SELECT sum(bytes) {sent}")
    incoming = value(case, f"SELECT sum(bytes) {received}")
    seconds = value(case, f'SELECT max(epoch("end")) - min(epoch(start)) {sent}')
    records = 2 * value(case, f"SELECT count(*) {sent}")
    rules = case.sql("SELECT initiator_rule, count(*) AS n FROM connections GROUP BY ALL")
    rule = rules.set_index("initiator_rule")["n"]
    return {
        "initiator": (OFFICE, [BASTION]),
        "server-bytes": (
            incoming,
            [
                outgoing,
                outgoing + incoming,
                value(case, f"SELECT bytes {received} ORDER BY start"),
            ],
        ),
        "minutes": (round(seconds / 60), [records]),
        "flags": ("responder", ["initiator", "unknown"]),
        "count": (
            rule.sum(),
            [
                value(case, "SELECT count(*) FROM flows"),
                value(case, "SELECT count(*) FROM connections WHERE NOT intermediate"),
                value(case, "SELECT count(*) FROM connection_summaries"),
            ],
        ),
        "inferred": (rule.sum() - rule["flags"], [rule["ports"], rule["internal"], rule["flags"]]),
    }


def whose_address(case: Case) -> Answers:
    tags = value(case, f"SELECT tags FROM address_assignments WHERE address = {MOVED!r}")
    tags = json.loads(tags) if isinstance(tags, str) else dict(tags)
    public = "203.0.113.10"
    gateway = f"FROM interfaces WHERE list_contains(public_addresses, {public!r})"
    return {
        "instance": (WINTERDAY["instance"], [WINTERDAY["interface"]]),
        "name": (tags["Name"], [tags["owner"], tags["app"]]),
        "private": (value(case, f"SELECT private_address {gateway}"), [public]),
        "resource": (value(case, f"SELECT service {gateway}"), ["ec2"]),
        "since": (
            WINTERDAY["started"],
            [value(case, "SELECT min(valid_from) FROM address_assignments")],
        ),
        "before": ("unknown", ["same", "nobody"]),
    }


def limits(case: Case) -> Answers:
    lost = """SELECT sum(epoch("end") - epoch(start)) FROM flows WHERE log_status = 'SKIPDATA'"""
    licence = (
        f"SELECT responder FROM connections WHERE initiator = {LICENCE!r} AND service_port = 443"
    )
    peer = value(case, f"{licence} GROUP BY 1 ORDER BY count(*) DESC")
    assert values(
        case,
        f"SELECT DISTINCT srcaddr FROM flows WHERE pkt_dstaddr = {peer!r} AND dstaddr <> {peer!r}",
    ) == [LICENCE]
    return {
        "content": ("connected", ["mines", "stratum"]),
        "dns-records": (
            value(case, "SELECT count(*) FROM flows WHERE srcport = 53 OR dstport = 53"),
            [value(case, "SELECT count(*) FROM dns")],
        ),
        "recorded": ("rejected", ["metadata", "resolver"]),
        "lost-seconds": (value(case, lost), [60]),
        "behind-nat": (LICENCE, ["10.20.0.10", peer]),
        "undecided": ("undecided", ["first", "larger"]),
    }


def scans(case: Case) -> Answers:
    def count(condition: str, what: str = "DISTINCT initiator") -> int:
        return value(case, f"SELECT count({what}) {INBOUND} {condition}")

    ports = f"SELECT service_port {INBOUND} AND rejected GROUP BY 1 ORDER BY count(*) DESC"
    first, second = values(case, f"{ports} LIMIT 2")
    matches = "SELECT count(*) FROM indicator_matches"
    return {
        "sources": (
            count("AND rejected"),
            [count("AND rejected", "*"), count("AND NOT answered")],
        ),
        "port": (first, [second]),
        "researchers": (count("AND initiator LIKE '198.19.44.%'"), [1, value(case, matches)]),
        "office": (OFFICE, [INTRUDER]),
        "intruder": (INTRUDER, [OFFICE, MINER]),
        "unanswered": ("no-reply", ["entered", "lost"]),
    }


def beacons(case: Case) -> Answers:
    tor = WINTERDAY["tor"]
    peer = f"FROM connections WHERE initiator = {LICENCE!r} AND service_port = 443"
    records = f"SELECT count(*) FROM flows WHERE {TOR!r} IN (srcaddr, dstaddr)"
    return {
        "check-ins": (tor["connections"], [value(case, records)]),
        "interval": (tor["interval_minutes"], [tor["interval_minutes"] * 60]),
        "accuracy": ("60 s", ["1 s", "600 s"]),
        "other-host": (
            LICENCE,
            [value(case, f"SELECT responder {peer} GROUP BY 1 ORDER BY count(*) DESC"), MINER],
        ),
        "list": ("tor-exits", ["tor", "mining-pools"]),
        "decision": ("ask", ["close", "isolate"]),
    }


def mining(case: Case) -> Answers:
    hours = "(epoch(last_seen) - epoch(first_seen)) / 3600"
    pool = f"FROM connections WHERE responder = {POOL!r}"
    expired = f"FROM connections WHERE responder = {EXPIRED!r}"
    hosts = f"SELECT count(DISTINCT initiator) {expired}"
    queried, domain = WINTERDAY["pool"]["names"]
    return {
        "pool": (POOL, [TOR, MINER]),
        "hours": (
            value(case, f"SELECT sum({hours}) {pool}"),
            [value(case, f"SELECT max({hours}) {pool}")],
        ),
        "pattern": ("pattern", ["volume", "port"]),
        "domain": (domain, [queried, "frostbyte-pool.example"]),
        "expired": (EXPIRED, [POOL, "198.51.100.90"]),
        "hosts": (
            value(
                case,
                f"{hosts} AND initiator IN (SELECT address FROM addresses WHERE service = 'ec2')",
            ),
            [value(case, hosts), value(case, f"SELECT count(*) {expired}")],
        ),
        "meaning": ("reused", ["infected", "nothing"]),
    }


def lateral_movement(case: Case) -> Answers:
    key = exercises.simulate("lateral-movement", 1, difficulty="easy", days=1).key
    facts = {(fact.kind, fact.activity): fact for fact in reversed(key.facts)}
    login = facts["traffic", "administrative session"]
    first, second = [fact for fact in key.facts if fact.activity == "internal session"]
    office = next(name for name, meaning in key.benign.items() if meaning == "office")
    began = "SELECT min(first_seen) FROM connections"
    usual = f"SELECT responder FROM connections WHERE initiator = {login.object!r} AND answered"
    control = facts["traffic", "beaconing begins"]
    metrics = f"SELECT responder FROM connections WHERE initiator = {control.actor!r}"
    return {
        "entry": (login.actor, [office, login.object]),
        "session": (
            pd.Timestamp(login.time, unit="s", tz="UTC"),
            [value(case, f"{began} WHERE initiator = {login.actor!r}")],
        ),
        "next": (
            first.object,
            [
                value(
                    case,
                    f"{usual} AND direction = 'internal' AND service_port = 22 ORDER BY first_seen",
                ),
                second.object,
            ],
        ),
        "last": (second.object, [first.object]),
        "targets": (
            [
                f.object
                for f in key.facts
                if f.activity == "rejected attempts" and f.actor == first.object
            ],
            [second.object],
        ),
        "control": (
            control.object,
            [
                value(
                    case,
                    f"{metrics} AND service_port = 443 GROUP BY 1 ORDER BY count(*) DESC",
                )
            ],
        ),
        "inference": ("open", ["same", "nothing"]),
    }


def who_started_it(case: Case) -> Answers:
    user = WINTERDAY["user"]
    calls = "FROM api_events WHERE event_name = 'RunInstances'"
    creator = f"FROM api_events WHERE principal_name = {user['created_by']!r}"
    tags = "SELECT tags FROM address_assignments WHERE address"
    tags = value(case, f"{tags} = {MINER!r}")
    tags = json.loads(tags) if isinstance(tags, str) else dict(tags)
    return {
        "started": (
            value(
                case,
                f"SELECT event_time {calls} AND event_id = '{WINTERDAY['run_instances_event']}'",
            ),
            [value(case, f"SELECT event_time {calls} AND error_code IS NOT NULL")],
        ),
        "principal": (user["name"], [user["created_by"]]),
        "key": (
            user["access_key"],
            [value(case, f"SELECT access_key_id {creator} AND event_name = 'CreateUser'")],
        ),
        "creator": (user["created_by"], [user["name"]]),
        "address": (
            user["source_address"],
            [value(case, f"SELECT source_ip {creator} GROUP BY 1 ORDER BY count(*) DESC")],
        ),
        "disguise": (tags["Name"], [tags["owner"]]),
        "person": ("key", ["employee", "aws"]),
    }


def exfiltration(case: Case) -> Answers:
    key = exercises.simulate("exfiltration", 1, difficulty="easy", days=2).key
    transfer = next(fact for fact in key.facts if fact.activity == "data transfer")
    name = next(fact.object for fact in key.facts if fact.kind == "dns")
    sender, receiver = transfer.actor, transfer.object
    out = "direction = 'outbound' AND NOT intermediate"
    to_receiver = f"FROM connections WHERE {out} AND responder = {receiver!r}"
    large = f"SELECT initiator FROM connections WHERE {out} AND bytes_out > 1e8"
    backups = values(case, f"{large} AND initiator <> {sender!r} GROUP BY 1 ORDER BY 1")
    storage, backup = next((v, k) for k, v in key.benign.items() if v.startswith("storage."))
    hours = f"""FROM (SELECT sum(bytes_out) AS n FROM connections WHERE {out}
        AND initiator = {sender!r} GROUP BY date_trunc('hour', first_seen))"""
    total = value(case, f"SELECT sum(bytes_out) {to_receiver}")
    return {
        "backup": (backup, [receiver]),
        "regular": ("nightly", ["size", "port"]),
        "sender": (sender, [*backups, receiver]),
        "volume": (total / 1e9, [total, value(case, f"SELECT max(bytes_out) / 1e9 {to_receiver}")]),
        "parts": (value(case, f"SELECT count(*) {to_receiver}"), []),
        "median": (
            value(case, f"SELECT median(n) {hours}"),
            [value(case, f"SELECT avg(n) {hours}")],
        ),
        "domain": (name, [storage]),
        "content": ("amount", ["database", "nothing"]),
    }


def capstone(case: Case) -> Answers:
    key = exercises.simulate("stolen-role", 5, difficulty="easy", days=2).key
    facts = {fact.activity: fact for fact in reversed(key.facts)}
    transfer, benign = facts["data transfer"], {v: k for k, v in key.benign.items()}
    intruder = key.indicators[0].value
    licence = next(k for k, v in key.benign.items() if v.startswith("the only client"))
    addresses = "SELECT source_ip FROM api_events WHERE principal_name LIKE '%/i-%'"
    nat = value(case, f"{addresses} AND source_ip <> {intruder!r}")
    storage, server = (
        next(k for k, v in key.benign.items() if v.startswith(f"{name}."))
        for name in ("storage", "licence")
    )
    return {
        "intruder": (intruder, [benign["office"], nat, transfer.object]),
        "host": (transfer.actor, [licence]),
        "first-call": (
            pd.Timestamp(facts["GetCallerIdentity"].time, unit="s", tz="UTC"),
            [value(case, "SELECT first_seen FROM alerts")],
        ),
        "snapshot": (
            facts["ModifySnapshotAttribute"].object,
            [facts["CreateSnapshot"].object],
        ),
        "receiver": (transfer.object, [storage, intruder]),
        "benign": (licence, [server]),
        "responder": (facts["PutRolePolicy"].actor, [facts["PutRolePolicy"].object]),
    }


ANSWERS: dict[str, Callable[[Case], Answers]] = {
    "one-record": one_record,
    "accepted-and-rejected": accepted_and_rejected,
    "connections": connections,
    "whose-address": whose_address,
    "what-flow-logs-cannot-tell": limits,
    "scans-and-noise": scans,
    "beacons": beacons,
    "mining-and-indicators": mining,
    "lateral-movement": lateral_movement,
    "who-started-it": who_started_it,
    "exfiltration": exfiltration,
    "capstone": capstone,
}
ALSO = {  # other spellings of right answers
    ("whose-address", "resource"): ["nat gateway", "nat_gateway", "nat"],
    ("who-started-it", "principal"): [WINTERDAY["user"]["arn"]],
    ("who-started-it", "creator"): ["arn:aws:iam::111122223333:user/d.marlow"],
}


def write_digests(name: str, case: Case) -> str:
    """The file of a lesson with the digests of the answers that its case gives."""
    content = lesson_files.read_content(lesson_files.find_lesson(name))
    computed = ANSWERS[content["lesson"]](case)
    assert list(computed) == [question["id"] for question in content["questions"]]
    for question in content["questions"]:
        question.pop("digests", None)
        question["answer"], wrong = computed[question["id"]]
        if also := ALSO.get((content["lesson"], question["id"])):
            question["also"] = also
        for entry, answer in zip(question.get("wrong", ()), wrong, strict=True):
            entry.pop("digest", None)
            entry["answer"] = answer
    return lesson_files.replace_answers(content)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in lesson_files.list_lessons():
            path = lesson_files.find_lesson(name)
            settings = lesson_files.read_content(path)["evidence"]
            text = write_digests(name, evidence.open_case(settings, Path(folder)))
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
