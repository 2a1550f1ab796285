"""Secrets removed from evidence as it is read: a case gets copied and shared, keys must not be.

The evidence file itself is not changed; a row's evidence id and line lead back to the original.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache

from flowbench.text import replace_unstorable

REDACTED = "[redacted]"

_MAX_DEPTH = 60  # levels that are kept; real requests and responses have about ten

# Ends of the keys whose value is a secret, in letters and digits only. Names that refer to a secret
# without containing it (secretId, accessKeyId, nextToken, clientToken) are not among them.
_WORDS = (
    "password",
    "passworddata",
    "userdata",
    "plaintext",
    "privatekey",
    "keymaterial",
    "secretaccesskey",
    "secretstring",
    "secretbinary",
    "clientsecret",
    "sharedsecret",
    "sessiontoken",
    "securitytoken",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "identitytoken",
    "authtoken",
    "authorizationtoken",
    "bearertoken",
    "tokenvalue",
    "tokencode",
    "samlassertion",
    "presharedkey",
)
_KEY = re.compile(rf"(?:{'|'.join(_WORDS)})$|^token$")
# The same keys within a text: `"sessionToken": "…"`, `session_token=…`.
_KEY_IN_TEXT = "|".join("[-_]?".join(word) for word in _WORDS)
_IN_TEXT = re.compile(
    rf"((?:{_KEY_IN_TEXT})[\\\"']{{0,3}}\s?[=:]\s?[\\\"']{{0,3}})[^\s\\\"',}}&]+", re.IGNORECASE
)
# Every word above contains one of these; looking for them first is ten times as fast.
_HINTS = ("data", "key", "pass", "plain", "assertion", "secret", "token")


def redact(value: object, depth: int = 0) -> object:
    """Return a JSON value without secrets, at most _MAX_DEPTH levels deep, that a table can hold.

    A value is a secret when its key is named like one, in any case and with any separators; when
    it is the value in ``{"name": "DB_PASSWORD", "value": …}``; or when it follows such a key
    within a text. A secret in a text that does not name it is not recognised.
    """
    if isinstance(value, str):
        return redact_text(replace_unstorable(value))
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if not isinstance(value, dict | list):
        return value
    if depth == _MAX_DEPTH:
        return "[nested too deeply]"
    if isinstance(value, list):
        return [redact(element, depth + 1) for element in value]
    names = [value[key] for key in ("name", "Name", "key", "Key") if key in value]
    has_secret_name = any(isinstance(name, str) and _is_secret(name) for name in names)
    return {
        replace_unstorable(key): REDACTED
        if element not in (None, True, False, "")
        and (_is_secret(key) or (has_secret_name and key in {"value", "Value"}))
        else redact(element, depth + 1)
        for key, element in value.items()
    }


def redact_text(value: str) -> str:
    """Return a text without the secrets in it that follow their key."""
    if not ("=" in value or ":" in value):
        return value
    lower = value.lower()
    if not any(hint in lower for hint in _HINTS):
        return value
    return _IN_TEXT.sub(rf"\g<1>{REDACTED}", value)


@lru_cache(maxsize=8192)  # keys repeat from event to event
def _is_secret(key: str) -> bool:
    return bool(_KEY.search(re.sub(r"[^a-z0-9]", "", key.lower())))
