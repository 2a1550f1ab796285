"""Requests to a time-stamp authority (RFC 3161), over HTTP, when asked."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request

from flowbench.errors import InputError

_MAX_BYTES = 1 << 20  # an answer has some kilobytes
_TIMEOUT = 30  # seconds


def request_time_stamp(url: str, query: bytes) -> bytes:
    """Send a request to a time-stamp authority and return its answer.

    Args:
        url: The authority, http or https. The answer is signed, so that http does no harm.
        query: The request (TimeStampReq, DER): a digest, nothing of the case.

    Raises:
        InputError: It is no such URL, or the authority does not answer.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise InputError(f"{url} is not the URL of a time-stamp authority: give http(s)://…")
    headers = {"Content-Type": "application/timestamp-query"}
    try:
        post = urllib.request.Request(url, data=query, headers=headers)  # noqa: S310  # checked
        with urllib.request.urlopen(post, timeout=_TIMEOUT) as response:  # noqa: S310
            return response.read(_MAX_BYTES)
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise InputError(
            f"cannot get a time stamp from {url}: {reason}. Seal without --timestamp, or give"
            " another authority"
        ) from error
