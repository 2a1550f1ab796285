"""Redaction: secrets are removed, references to secrets are kept."""

from __future__ import annotations

import pytest

from flowbench.io.redact import REDACTED, redact, redact_text


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "masterUserPassword",
        "MasterUserPassword",
        "secretAccessKey",
        "SecretAccessKey",
        "sessionToken",
        "session_token",
        "X-Amz-Security-Token",
        "userData",
        "secretString",
        "privateKey",
        "privateKeyPlaintext",
        "Plaintext",
        "webIdentityToken",
        "SAMLAssertion",
        "DB_PASSWORD",
        "clientSecret",
        "token",
        "keyMaterial",
        "passwordData",
        "SECRETSTRING",
    ],
)
def test_secrets_by_key(key: str) -> None:
    assert redact({"a": [{key: "s3cr3t"}]}) == {"a": [{key: REDACTED}]}
    assert redact({key: {"value": "s3cr3t"}}) == {key: REDACTED}


@pytest.mark.parametrize(
    "key",
    [
        "secretId",
        "accessKeyId",
        "nextToken",
        "clientToken",
        "passwordResetRequired",
        "keyName",
        "tokenVersion",
        "userName",
        "publicKey",
    ],
)
def test_references_to_secrets_are_kept(key: str) -> None:
    assert redact({key: "x"}) == {key: "x"}


def test_empty_values_are_not_redacted() -> None:
    absent = {"password": None, "plaintext": False, "userData": ""}
    assert redact(absent) == absent


def test_secrets_in_name_and_value_pairs() -> None:
    variables = [{"name": "DB_PASSWORD", "value": "s3cr3t"}, {"name": "HOME", "value": "/root"}]
    assert redact(variables) == [{"name": "DB_PASSWORD", "value": REDACTED}, variables[1]]
    assert redact({"Key": "token", "Value": "s3cr3t"}) == {"Key": "token", "Value": REDACTED}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"sessionToken": "s3cr3t", "a": 1}', '{"sessionToken": "[redacted]", "a": 1}'),
        ('{\\"secretAccessKey\\":\\"s3cr3t\\"}', '{\\"secretAccessKey\\":\\"[redacted]\\"}'),
        ("export AWS_SESSION_TOKEN=s3cr3t; ls", "export AWS_SESSION_TOKEN=[redacted] ls"),
        ("mysql --password=s3cr3t -h db", "mysql --password=[redacted] -h db"),
        (
            "{accessKeyId=AKIA1, secretAccessKey=s3cr3t}",
            "{accessKeyId=AKIA1, secretAccessKey=[redacted]}",
        ),
        ("arn:aws:secretsmanager:eu-1:1:secret:db", "arn:aws:secretsmanager:eu-1:1:secret:db"),
        ("no secret here", "no secret here"),
    ],
)
def test_secrets_within_a_text(text: str, left: str) -> None:
    assert redact_text(text) == left
    assert redact({"commands": [text]}) == {"commands": [left]}


def test_unstorable_text_is_replaced() -> None:
    assert redact({"a\0": "x\ud800", "n": float("nan")}) == {"a\ufffd": "x\ufffd", "n": None}
