"""API events of roles, sessions and instances, for tests of attribution."""

from __future__ import annotations

from typing import Any

from tests.incident_case import api_event

ACCOUNT, OTHER_ACCOUNT = "111122223333", "999988887777"


def issued(key: str) -> dict[str, Any]:
    """What a call returns that issues a session."""
    return {"credentials": {"accessKeyId": key, "sessionToken": "secret"}}


def assumed(role: str, session: str, account: str = ACCOUNT) -> dict[str, Any]:
    """What AssumeRole asks for."""
    return {"roleArn": f"arn:aws:iam::{account}:role/{role}", "roleSessionName": session}


def session_event(
    event_id: str, name: str, at: int, session: str, key: str, account: str = ACCOUNT, **fields: Any
) -> dict[str, Any]:
    """One CloudTrail record of the call of a role's session, 'role/session'."""
    role = session.partition("/")[0]
    event = api_event(event_id, name, at, key=key, **fields)
    event["userIdentity"] = {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::{account}:assumed-role/{session}",
        "accountId": account,
        "accessKeyId": key,
        "sessionContext": {
            "sessionIssuer": {"type": "Role", "arn": f"arn:aws:iam::{account}:role/{role}"}
        },
    }
    return event | {"recipientAccountId": account}


def role_chain(hops: int, at: int) -> list[dict[str, Any]]:
    """Sessions of which each assumes the next: 'ops/s0' with key ASIA000 to 'ops/s<hops>'."""
    return [
        session_event(
            f"hop{n:03}", "AssumeRole", at + n, f"ops/s{n}", f"ASIA{n:03}",
            request=assumed("ops", f"s{n + 1}"), response=issued(f"ASIA{n + 1:03}"),
        )
        for n in range(hops)
    ]  # fmt: skip


def credential_events(at: int) -> list[dict[str, Any]]:
    """Credentials that lead to others: created roles, users, keys and instances; and two loops.

    mallory created the role backdoor, whose session created bob, who took data; and started an
    instance, whose role's session read. eve assumed a role of another account. The users loop-a and
    loop-b issue each other's keys. Both accounts have a user twin.
    """
    mallory = {"arn": f"arn:aws:iam::{ACCOUNT}:user/mallory", "key": "AKIAMALLORY"}
    bob = {"arn": f"arn:aws:iam::{ACCOUNT}:user/bob", "key": "AKIABOB", "ip": "203.0.113.99"}
    trust = (
        '{"Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999988887777:root"}}]}'
    )
    policy = {"roleName": "backdoor", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}
    across = api_event(
        "x1", "AssumeRole", at + 60, request=assumed("trusted", "s1", OTHER_ACCOUNT)
    ) | {"sharedEventID": "shared-1"}
    copy = across | {
        "eventID": "x2",
        "recipientAccountId": OTHER_ACCOUNT,
        "userIdentity": {"type": "AWSAccount", "principalId": "AIDAEVE", "accountId": ACCOUNT},
        "responseElements": issued("ASIATRUSTED"),
    }
    started = {"instancesSet": {"items": [{"instanceId": "i-0feed0001"}]}}
    twin = f"arn:aws:iam::{OTHER_ACCOUNT}:user/twin"
    return [
        api_event("m1", "CreateRole", at, **mallory,
                  request={"roleName": "backdoor", "assumeRolePolicyDocument": trust}),
        api_event("m2", "AttachRolePolicy", at + 1, request=policy, **mallory),
        api_event("m3", "RunInstances", at + 2, response=started, **mallory),
        session_event("b1", "CreateUser", at + 10, "backdoor/x", "ASIASTRANGER",
                      request={"userName": "bob"}, ip="203.0.113.98"),
        session_event("b2", "CreateAccessKey", at + 11, "backdoor/x", "ASIASTRANGER",
                      request={"userName": "bob"}, ip="203.0.113.98",
                      response={"accessKey": {"accessKeyId": "AKIABOB", "userName": "bob"}}),
        *(api_event(f"g{n}", "GetObject", at + 20 + n, read=True, request={"bucketName": "data"},
                    **bob) for n in range(5)),
        session_event("i1", "ListBuckets", at + 30, "web/i-0feed0001", "ASIAINSTANCE", read=True),
        api_event("m4", "DeleteAccessKey", at + 50, request={"accessKeyId": "AKIABOB"}, **mallory),
        across,
        copy,
        session_event("x3", "RunInstances", at + 70, "trusted/s1", "ASIATRUSTED", OTHER_ACCOUNT),
        api_event("l1", "CreateAccessKey", at, arn=f"arn:aws:iam::{ACCOUNT}:user/loop-a",
                  key="AKIALOOPA", response={"accessKey": {"accessKeyId": "AKIALOOPB"}}),
        api_event("l2", "CreateAccessKey", at + 1, arn=f"arn:aws:iam::{ACCOUNT}:user/loop-b",
                  key="AKIALOOPB", response={"accessKey": {"accessKeyId": "AKIALOOPA"}}),
        api_event("t1", "ListBuckets", at, arn=f"arn:aws:iam::{ACCOUNT}:user/twin", key="AKIAT1"),
        api_event("t2", "ListBuckets", at, arn=twin, key="AKIAT2")
        | {"recipientAccountId": OTHER_ACCOUNT},
        *role_chain(18, at + 100),
    ]  # fmt: skip
