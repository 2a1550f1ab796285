"""AWS access through boto3: sessions, clients, and errors that name the remedy.

Only a fetch sends requests. boto3's credential chain finds the credentials (environment, profile,
SSO, instance role); this module never reads or stores them. Importing it without boto3 raises
InputError.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from flowbench.errors import InputError
from flowbench.version import __version__

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError
except ImportError:
    raise InputError("fetching needs boto3: pip install 'flowbench[aws]'") from None

ApiResponse = Mapping[str, Any]  # a response of boto3, which is untyped

WORKERS = 16  # concurrent requests

_BOTO_ERRORS = (BotoCoreError, ClientError, ResponseParserError)

# The response began and did not end: a retry may succeed.
INTERRUPTED = frozenset(
    ("IncompleteReadError", "ResponseStreamingError", "ReadTimeoutError", "ConnectionClosedError")
)
_CODES = {
    "denied": "AccessDenied AccessDeniedException UnauthorizedOperation AuthorizationError"
    " AllAccessDisabled 403 Forbidden",
    "expired": "ExpiredToken ExpiredTokenException RequestExpired TokenRefreshRequired",
    "unknown credentials": "InvalidAccessKeyId SignatureDoesNotMatch UnrecognizedClientException"
    " AuthFailure InvalidClientTokenId InvalidToken MissingAuthenticationToken",
    "other region": "PermanentRedirect AuthorizationHeaderMalformed"
    " IllegalLocationConstraintException 301",
    "throttled": "Throttling ThrottlingException RequestLimitExceeded SlowDown 503"
    " TooManyRequestsException ServiceUnavailable ServiceUnavailableException",
    "no bucket": "NoSuchBucket",
    "no resource": "ResourceNotFoundException",
    "no object": "NoSuchKey 404",
    "archived": "InvalidObjectState",
    "changed": "PreconditionFailed 412",
    "clock": "RequestTimeTooSkewed",
}
_REASONS = {code: reason for reason, codes in _CODES.items() for code in codes.split()}
_MESSAGES = {  # of the reasons whose message needs nothing but the subject and the code
    "expired": "the AWS credentials have expired: sign in again and repeat the command",
    "unknown credentials": "AWS does not know these credentials ({code}): check the profile",
    "throttled": "{subject}: AWS throttles requests ({code}): wait, then repeat the command",
    "no bucket": "{subject}: no such bucket",
    "no resource": "{subject}: no such resource; check its name and --region",
    "no object": "{subject}: no such object; it was deleted after it was listed",
    "archived": "{subject}: archived; restore it first (aws s3api restore-object)",
    "changed": "{subject}: changed since it was listed; repeat the command",
    "clock": "AWS rejects requests because this machine's clock is wrong: set the clock",
}
_OTHERS_MAY_SUCCEED = ("denied", "no object", "archived", "changed")  # the rest is fatal
_NEEDED_ACTION = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z*]+)")


class AwsRequestError(InputError):
    """AWS rejected a request or did not answer; ``code`` is AWS's error code or boto3's class.

    An empty code means that no request can succeed.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def is_fatal(self) -> bool:
        """Whether every further request would fail in the same way."""
        reason = _REASONS.get(self.code)
        return not self.code or (reason is not None and reason not in _OTHERS_MAY_SUCCEED)


@dataclass
class AwsSession:
    """A profile, a region and an endpoint, each None for boto3's default, and their clients."""

    profile: str | None = None
    region: str | None = None
    endpoint: str | None = None
    _clients: dict[tuple[str, str | None], Any] = field(default_factory=dict, repr=False)

    @cached_property
    def boto3_session(self) -> Any:
        """The boto3 session. Raises AwsRequestError for an unknown profile."""
        with translate_errors("sts:GetCallerIdentity", "the profile"):
            return boto3.Session(profile_name=self.profile, region_name=self.region)

    @property
    def default_region(self) -> str:
        """The region for requests that concern the whole account."""
        return self.boto3_session.region_name or "us-east-1"

    def client(self, service: str, region: str | None = None) -> Any:
        """Return the client of a service, which retries, adapts its rate and is thread-safe."""
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
            with translate_errors(f"{service}:*", f"the {service} service"):
                client = self.boto3_session.client(
                    service,
                    region_name=region or self.region,
                    endpoint_url=self.endpoint,
                    config=config,
                )
        except ValueError:
            raise InputError("invalid endpoint: write --endpoint-url https://HOST") from None
        self._clients[service, region] = client
        return client

    @cached_property
    def caller(self) -> dict[str, str | None]:
        """The account and ARN of the calling identity; both None where STS denies the request."""
        try:
            identity = self.client("sts", self.default_region).get_caller_identity()
        except _BOTO_ERRORS:
            identity = {}
        return {"account": identity.get("Account"), "arn": identity.get("Arn")}

    def describe(self) -> dict[str, str | None]:
        """Return the caller and the endpoint for the custody log, without secrets."""
        url = urlsplit(self.endpoint or "")
        host = url.netloc.rpartition("@")[2]
        return {
            "caller": self.caller["arn"],
            "endpoint": f"{url.scheme}://{host}" if self.endpoint else None,
        }


@contextmanager
def translate_errors(action: str, subject: str) -> Iterator[None]:
    """Turn boto3's errors inside the block into AwsRequestError.

    Args:
        action: The IAM action that the requests need.
        subject: What the requests are for; it begins the message.
    """
    try:
        yield
    except _BOTO_ERRORS as error:
        raise translate_error(error, action, subject) from error


def translate_error(error: Exception, action: str, subject: str) -> AwsRequestError:
    """Return an error whose message has the subject, the reason and the remedy."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        name = type(error).__name__
        code = name if name in INTERRUPTED else ""
        return AwsRequestError(_client_side_message(error, subject), code)
    code = str(response.get("Error", {}).get("Code", ""))
    text = str(response.get("Error", {}).get("Message", ""))
    reason = _REASONS.get(code, "")
    if reason == "denied":
        needed = _NEEDED_ACTION.search(text)
        message = f"{subject}: access denied; this identity needs {needed[1] if needed else action}"
        if action.startswith("s3:"):
            message += ", or the bucket is requester-pays: then use --requester-pays"
    elif reason == "other region":
        headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = headers.get("x-amz-bucket-region")
        remedy = f"use --region {region}" if region else "give its region with --region"
        message = f"{subject} is in another region: {remedy}"
    elif reason:
        message = _MESSAGES[reason].format(subject=subject, code=code)
    else:
        message = f"{subject}: AWS error {code or 'without a code'}: {text[:200]}"
    return AwsRequestError(message, code)


def _client_side_message(error: Exception, subject: str) -> str:
    """Return the message for an error of boto3 itself: no request was sent or answered."""
    name = type(error).__name__
    if "Credential" in name or "SSO" in name or "Token" in name:
        return (
            "no valid AWS credentials: sign in (aws sso login, aws configure), set AWS_PROFILE,"
            f" or give --profile ({name})"
        )
    if name == "ProfileNotFound":
        return f"{str(error)[:200]}: see `aws configure list-profiles`"
    if name in ("NoRegionError", "InvalidRegionError"):
        return "no valid AWS region: give --region, or set AWS_DEFAULT_REGION"
    if name in ("EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError"):
        return f"{subject}: cannot reach AWS; check the network, the region and --endpoint-url"
    return f"{subject}: {name}: {str(error)[:200]}"
