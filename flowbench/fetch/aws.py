"""AWS through boto3: sessions, clients, and what went wrong in words that say what to do.

Nothing here is asked unless the user called for a fetch. Credentials are boto3's own affair: its
chain finds them (environment, profile, SSO, instance role); they are never read or kept here.
Importing this without boto3 raises InputError.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from flowbench import __version__
from flowbench.errors import InputError

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError
except ImportError:
    raise InputError("fetching needs boto3: pip install 'flowbench[aws]'") from None

_ERRORS = (BotoCoreError, ClientError, ResponseParserError)
WORKERS = 16  # requests at the same time

# An answer that began and did not end: the next may.
BROKEN_OFF = {
    "IncompleteReadError", "ResponseStreamingError", "ReadTimeoutError", "ConnectionClosedError",
}  # fmt: skip
_DENIED = {
    "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError",
    "AllAccessDisabled", "403", "Forbidden",
}  # fmt: skip
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_NOBODY = {
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "UnrecognizedClientException", "AuthFailure",
    "InvalidClientTokenId", "InvalidToken", "MissingAuthenticationToken",
}  # fmt: skip
_ELSEWHERE = {
    "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException",
    "301",
}  # fmt: skip
_NOT_THERE = {"NoSuchBucket", "ResourceNotFoundException"}
_BUSY = {
    "Throttling", "ThrottlingException", "RequestLimitExceeded", "SlowDown", "503",
    "TooManyRequestsException", "ServiceUnavailable", "ServiceUnavailableException",
}  # fmt: skip
_ACTION = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z*]+)")


class Refused(InputError):
    """AWS said no to one request; ``code`` is its own word for it."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def everywhere(self) -> bool:
        """Whether the next request would end the same way."""
        return self.code in _EXPIRED | _NOBODY | _ELSEWHERE | _BUSY | _NOT_THERE | {""}


@dataclass
class Account:
    """Who asks, and where: a profile, a region and an endpoint, each None for boto3's default."""

    profile: str | None = None
    region: str | None = None
    endpoint: str | None = None
    _clients: dict[tuple[str, str | None], Any] = field(default_factory=dict, repr=False)

    @cached_property
    def session(self) -> Any:
        """The boto3 session. Raises Refused for an unknown profile."""
        with asking("sts:GetCallerIdentity", "the profile"):
            return boto3.Session(profile_name=self.profile, region_name=self.region)

    def client(self, service: str, region: str | None = None) -> Any:
        """A client for a service that retries, slows down when told to, and may be shared."""
        if (service, region) in self._clients:
            return self._clients[service, region]
        config = Config(
            retries={"mode": "adaptive", "max_attempts": 5},
            max_pool_connections=WORKERS,
            connect_timeout=10,
            read_timeout=60,
            user_agent_extra=f"flowbench/{__version__}",
        )
        try:
            with asking(f"{service}:*", f"the {service} service"):
                made = self.session.client(
                    service,
                    region_name=region or self.region,
                    endpoint_url=self.endpoint,
                    config=config,
                )
        except ValueError:
            raise InputError("that is no endpoint: write --endpoint-url https://HOST") from None
        self._clients[service, region] = made
        return made

    @cached_property
    def caller(self) -> dict[str, str | None]:
        """The account and the ARN of who asks; both None where STS does not tell."""
        region = self.session.region_name or "us-east-1"
        try:
            found = self.client("sts", region).get_caller_identity()
        except _ERRORS:
            found = {}
        return {"account": found.get("Account"), "arn": found.get("Arn")}

    def about(self) -> dict[str, str | None]:
        """What the custody log keeps of it: no secret."""
        at = urlsplit(self.endpoint or "")
        return {
            "caller": self.caller["arn"],
            "endpoint": f"{at.scheme}://{at.netloc.rpartition('@')[2]}" if self.endpoint else None,
        }


@contextmanager
def asking(action: str, what: str) -> Iterator[None]:
    """Around requests that need an IAM action: boto3's errors come out as one that says what to do.

    ``what`` names the thing asked for. Raises Refused.
    """
    try:
        yield
    except _ERRORS as error:
        raise explained(error, action, what) from error


def explained(error: Exception, action: str, what: str) -> Refused:
    """A boto3 error as one that names the thing, the reason and the remedy."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        name = type(error).__name__
        return Refused(_library(error, what), name if name in BROKEN_OFF else "")
    code = str(response.get("Error", {}).get("Code", ""))
    text = str(response.get("Error", {}).get("Message", ""))
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    if code in _DENIED:
        named = _ACTION.search(text)
        needed = named[1] if named else action
        more = "; a requester-pays bucket says the same: then --requester-pays"
        return Refused(
            f"{what}: access denied; this identity needs {needed}"
            + (more if action.startswith("s3:") else ""),
            code,
        )
    if code in _EXPIRED:
        return Refused("the AWS credentials have expired: sign in anew and run it again", code)
    if code in _NOBODY:
        return Refused(f"AWS does not know these credentials ({code}): check the profile", code)
    if code in _ELSEWHERE:
        there = headers.get("x-amz-bucket-region")
        remedy = f"--region {there}" if there else "give its region with --region"
        return Refused(f"{what} lies in another region: {remedy}", code)
    if code in _BUSY:
        return Refused(f"{what}: AWS is throttling ({code}); wait, then run the same again", code)
    if code == "NoSuchBucket":
        return Refused(f"{what}: there is no such bucket", code)
    if code == "ResourceNotFoundException":
        return Refused(f"{what}: there is no such thing; check its name and --region", code)
    if code in ("NoSuchKey", "404"):
        return Refused(f"{what}: it is gone", code)
    if code == "InvalidObjectState":
        return Refused(f"{what}: archived; restore it first (aws s3api restore-object)", code)
    if code in ("PreconditionFailed", "412"):
        return Refused(f"{what}: it changed since it was listed; run the same again", code)
    if code == "RequestTimeTooSkewed":
        return Refused("this machine's clock is wrong, and AWS does not accept that", "")
    return Refused(f"{what}: AWS says {code or 'no'}: {text[:200]}", code)


def _library(error: Exception, what: str) -> str:
    """The errors of boto3 itself: nothing came back, or nothing was sent."""
    name = type(error).__name__
    if "Credential" in name or "SSO" in name or "Token" in name:
        return (
            "no AWS credentials that work: sign in (aws sso login, aws configure), set AWS_PROFILE,"
            f" or give --profile ({name})"
        )
    if name == "ProfileNotFound":
        return f"{str(error)[:200]}: see `aws configure list-profiles`"
    if name in ("NoRegionError", "InvalidRegionError"):
        return "no AWS region that can be used: give --region, or set AWS_DEFAULT_REGION"
    if name in ("EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError"):
        return f"{what}: AWS cannot be reached; check the network, the region and --endpoint-url"
    return f"{what}: {name}: {str(error)[:200]}"
