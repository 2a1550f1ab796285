"""Conditions of rules on request parameters: permissions, logging, secrets, data, instances.

Each takes a call and returns what it concerns, as short texts for a summary, or None where it does
not hold. A rule that counts counts these texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from flowbench.detect.api_policies import foreign_accounts
from flowbench.detect.api_requests import (
    ApiCall,
    as_texts,
    find_texts,
    shorten,
)
from flowbench.text import format_count

# ---- credentials ---------------------------------------------------------------------------------


def concerns_other_user(call: ApiCall) -> list[str] | None:
    """Match a call about another user than its principal."""
    user = call.text("userName")
    return [f"for user {user}"] if user and user != call.principal else None


def concerns_own_user(call: ApiCall) -> list[str] | None:
    """Match a call about its principal, a user: its own credentials."""
    is_own = call.principal_type != "Root" and not concerns_other_user(call)
    return ["for itself"] if is_own else None


def concerns_root(call: ApiCall) -> list[str] | None:
    """Match a call by which the root user gives itself an access key."""
    is_own = call.principal_type == "Root" and not call.request.get("userName")
    return ["for the root user"] if is_own else None


def is_root(call: ApiCall) -> list[str] | None:
    """Match every call of the root user."""
    return [] if call.principal_type == "Root" else None


def is_sign_in_without_mfa(call: ApiCall) -> list[str] | None:
    """Match a successful console sign-in of a user or root, with a password alone."""
    is_own = call.principal_type in ("IAMUser", "Root")  # an identity provider asks for MFA itself
    return [] if is_own and call.mfa_used == "No" and not call.is_failed else None


def is_failed_sign_in(call: ApiCall) -> list[str] | None:
    """Match a console sign-in that failed."""
    return [] if call.is_failed else None


# ---- logging and detection -----------------------------------------------------------------------

_LOG_BUCKET = re.compile(r"trail|log|audit|config|guardduty", re.IGNORECASE)
_SHORT_RETENTION = 7  # days; logs are kept for months


def restricts_trail(call: ApiCall) -> list[str] | None:
    """Match event selectors that leave management events out."""
    selectors = call.request.get("eventSelectors")
    restricted = [
        each
        for each in (selectors if isinstance(selectors, list) else [])
        if isinstance(each, dict)
        and (
            each.get("includeManagementEvents") is False
            or each.get("readWriteType") in ("ReadOnly", "WriteOnly", "None")
            or each.get("excludeManagementEventSources")
        )
    ]
    return [call.text("trailName") or "a trail"] if restricted else None


def weakens_trail(call: ApiCall) -> list[str] | None:
    """Match an update that limits a trail to a Region, moves it or drops its validation."""
    request = call.request
    switches = ("isMultiRegionTrail", "includeGlobalServiceEvents", "enableLogFileValidation")
    is_weaker = any(request.get(key) is False for key in switches)
    is_moved = bool(request.get("s3BucketName") or request.get("kmsKeyId"))
    return [call.text("name") or "a trail"] if is_weaker or is_moved else None


def expires_logs(call: ApiCall) -> list[str] | None:
    """Match a lifecycle rule that deletes the objects of a log bucket within days."""
    bucket = call.text("bucketName") or ""
    return _expiring(call) if _LOG_BUCKET.search(bucket) else None


def expires_objects(call: ApiCall) -> list[str] | None:
    """Match a lifecycle rule that deletes the objects of another bucket within a day."""
    bucket = call.text("bucketName") or ""
    return None if _LOG_BUCKET.search(bucket) else _expiring(call, 1)


def _expiring(call: ApiCall, most_days: int = _SHORT_RETENTION) -> list[str] | None:
    days = [days for days in _find_numbers(call.request, "Days") if days <= most_days]
    bucket = call.text("bucketName") or "a bucket"
    return [f"objects of {bucket} expire after {min(days)} d"] if days else None


def _find_numbers(value: object, key: str, within: bool = False) -> Iterator[int]:
    """Yield the numbers of a key below ``Expiration``."""
    if isinstance(value, list):
        for element in value:
            yield from _find_numbers(element, key, within)
    elif isinstance(value, dict):
        for name, element in value.items():
            if within and name == key and isinstance(element, int):
                yield element
            else:
                yield from _find_numbers(element, key, within or name == "Expiration")


def disables_detector(call: ApiCall) -> list[str] | None:
    """Match an update that suspends a GuardDuty detector."""
    return (
        [call.text("detectorId") or "a detector"] if call.request.get("enable") is False else None
    )


def archives_findings(call: ApiCall) -> list[str] | None:
    """Match a filter that archives GuardDuty's findings when they arise."""
    return [call.text("name") or "a filter"] if call.request.get("action") == "ARCHIVE" else None


def trusts_addresses(call: ApiCall) -> list[str] | None:
    """Match a list of trusted addresses for GuardDuty, not one of its threat lists."""
    return [call.text("name", "ipSetId") or "a list"] if call.source == "guardduty" else None


# ---- secrets and data ----------------------------------------------------------------------------


def reads_secrets(call: ApiCall) -> list[str] | None:
    """Match calls that read secrets which they name; return the secrets."""
    if call.source == "ssm" and call.request.get("withDecryption") is not True:
        return None
    found = find_texts(call.request, {"secretId", "secretIdList", "name", "names", "path"})
    return [shorten(secret) for secret in found]


def reads_secrets_by_filter(call: ApiCall) -> list[str] | None:
    """Match a batch read of secrets that the request does not name, or of every parameter."""
    if call.name == "GetParametersByPath":
        is_all = call.request.get("path") == "/" and call.request.get("withDecryption") is True
        return ["every parameter"] if is_all else None
    return None if call.request.get("secretIdList") else ["secrets selected by a filter"]


def reads_user_data(call: ApiCall) -> list[str] | None:
    """Match reading the start script of an instance."""
    is_script = call.request.get("attribute") == "userData"
    return [call.text("instanceId") or "an instance"] if is_script else None


def changes_user_data(call: ApiCall) -> list[str] | None:
    """Match changing the start script of an instance."""
    is_script = "userData" in call.request or call.request.get("attribute") == "userData"
    return [call.text("instanceId") or "an instance"] if is_script else None


def encrypts_with_foreign_key(call: ApiCall) -> list[str] | None:
    """Match writing objects with a key that only the caller or another account holds."""
    keys = find_texts(
        call.request, {"kMSMasterKeyID", "x-amz-server-side-encryption-aws-kms-key-id", "kmsKeyId"}
    )
    algorithm = call.request.get("x-amz-server-side-encryption-customer-algorithm")
    foreign = [f"key of {name}" for key in keys for name in foreign_accounts(key, call)]
    bucket = call.text("bucketName") or "a bucket"
    found = [*foreign, *(["customer-provided key (SSE-C)"] if algorithm else [])]
    return [f"{bucket} with a {each}" for each in found] or None


def suspends_versioning(call: ApiCall) -> list[str] | None:
    """Match suspending the versioning of a bucket."""
    states = find_texts(call.request, {"status", "mfaDelete"})
    is_off = any(state in ("Suspended", "Disabled") for state in states)
    return [call.text("bucketName") or "a bucket"] if is_off else None


# ---- instances and functions ---------------------------------------------------------------------

_ACCELERATED = re.compile(r"^(?:p\d|g\d|gr\d|trn\d|inf\d|dl\d|vt\d|f\d)")
_SIZE = re.compile(r"\.(?:metal|(\d+)xlarge)")
_LARGE = 8  # xlarge: 32 vCPU, the default quota of an account
_MANY = 10  # instances in one call


def launches_unusual_instances(call: ApiCall) -> list[str] | None:
    """Match launches of instances with accelerators, of large ones, or of many at once."""
    kind = call.text("instanceType") or ""
    counts = _find_counts(call.request.get("instancesSet"))
    size = _SIZE.search(kind)
    is_large = size is not None and (not size[1] or int(size[1]) >= _LARGE)
    if not (_ACCELERATED.search(kind) or is_large or max(counts, default=1) >= _MANY):
        return None
    most = max(counts, default=1)
    instances = f"{'up to ' if most > 1 else ''}{format_count(most, 'instance')}"
    return [f"{instances} of type {kind or '(not stated)'}"]


def _find_counts(value: object) -> list[int]:
    items = value.get("items") if isinstance(value, dict) else None
    if not isinstance(items, list):
        return []
    counts = [item.get("maxCount") for item in items if isinstance(item, dict)]
    return [count for count in counts if isinstance(count, int)]


def adds_layers(call: ApiCall) -> list[str] | None:
    """Match adding layers to a function."""
    layers = as_texts(call.request.get("layers"))
    return [call.text("functionName") or "a function"] if layers else None


def targets(call: ApiCall) -> list[str] | None:
    """Match every call, and name the instances that it addresses."""
    return [
        shorten(text) for text in find_texts(call.request, {"instanceIds", "instanceId", "target"})
    ]
