"""Secrets taken out of evidence as it is read: a case gets copied and shared, keys must not be.

The evidence file itself stays as it is; its digest and line lead back to what was left out.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache

from flowbench.text import replace_unstorable

REDACTED = "[redacted]"

_DEEPEST = 60  # levels that are kept; real requests and responses have about ten

# Keys whose value is a secret: how they end, in letters and digits only. Names that merely point
# at a secret (secretId, accessKeyId, nextToken, clientToken) are not among them.
_WORDS = (
    *("password", "passworddata", "userdata", "plaintext", "privatekey", "keymaterial"),
    *("secretaccesskey", "secretstring", "secretbinary", "clientsecret", "sharedsecret"),
    *("sessiontoken", "securitytoken", "accesstoken", "refreshtoken", "idtoken", "identitytoken"),
    *("authtoken", "authorizationtoken", "bearertoken", "tokenvalue", "tokencode"),
    *("samlassertion", "presharedkey"),
)
_KEY = re.compile(rf"(?:{'|'.join(_WORDS)})$|^token$")
# The same where a whole text was put into one value: `"sessionToken": "…"`, `session_token=…`.
_SPELT = "|".join("[-_]?".join(word) for word in _WORDS)
_IN_TEXT = re.compile(
    rf"((?:{_SPELT})[\\\"']{{0,3}}\s?[=:]\s?[\\\"']{{0,3}})[^\s\\\"',}}&]+", re.IGNORECASE
)
# Every word above holds one of these; looking for them first is ten times as fast.
_HINTS = ("data", "key", "pass", "plain", "assertion", "secret", "token")


def redact(value: object, depth: int = 0) -> object:
    """A JSON value without secrets, fit for any table, and at most _DEEPEST levels deep.

    Secrets are known by their keys, spelt in any case and with any separators; also the value of
    ``{"name": "DB_PASSWORD", "value": …}``, and ``key=value`` or JSON inside a string. A secret
    in a text that does not name it stays.
    """
    if isinstance(value, str):
        return scrub(replace_unstorable(value))
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if not isinstance(value, dict | list):
        return value
    if depth == _DEEPEST:
        return "[nested too deeply]"
    if isinstance(value, list):
        return [redact(element, depth + 1) for element in value]
    labels = [value[key] for key in ("name", "Name", "key", "Key") if key in value]
    labelled = any(isinstance(label, str) and _is_secret(label) for label in labels)
    return {
        replace_unstorable(key): REDACTED
        if element not in (None, True, False, "")
        and (_is_secret(key) or (labelled and key in {"value", "Value"}))
        else redact(element, depth + 1)
        for key, element in value.items()
    }


def scrub(value: str) -> str:
    """A text without the secrets it spells out as key and value."""
    if not ("=" in value or ":" in value):
        return value
    small = value.lower()
    if not any(hint in small for hint in _HINTS):
        return value
    return _IN_TEXT.sub(rf"\g<1>{REDACTED}", value)


@lru_cache(maxsize=8192)  # keys repeat from event to event
def _is_secret(key: str) -> bool:
    return bool(_KEY.search(re.sub(r"[^a-z0-9]", "", key.lower())))
