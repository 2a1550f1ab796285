"""Errors of AWS and boto3 become messages with the subject, the reason and the remedy."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, IncompleteReadError, TokenRetrievalError

from flowbench.fetch.aws import AwsRequestError, AwsSession, translate_errors


def translate(error: Exception, action: str = "s3:ListBucket") -> AwsRequestError:
    with pytest.raises(AwsRequestError) as caught, translate_errors(action, "s3://b"):
        raise error
    return caught.value


def response_error(code: str, message: str = "m", **headers: str) -> ClientError:
    metadata = {"HTTPHeaders": {name.replace("_", "-"): text for name, text in headers.items()}}
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}
    return ClientError(response, "ListObjectsV2")


@pytest.mark.parametrize(
    ("error", "message", "is_fatal"),
    [
        (
            response_error("AccessDenied"),
            "s3://b: access denied; this identity needs s3:ListBucket, or the bucket is"
            " requester-pays: then use --requester-pays",
            False,
        ),
        (
            response_error(
                "AccessDenied", "User: x is not authorized to perform: kms:Decrypt on resource"
            ),
            "s3://b: access denied; this identity needs kms:Decrypt, or the bucket is"
            " requester-pays: then use --requester-pays",
            False,
        ),
        (
            response_error("PermanentRedirect", x_amz_bucket_region="eu-west-1"),
            "s3://b is in another region: use --region eu-west-1",
            True,
        ),
        (
            response_error("AuthorizationHeaderMalformed"),
            "s3://b is in another region: give its region with --region",
            True,
        ),
        (response_error("NoSuchBucket"), "s3://b: no such bucket", True),
        (
            response_error("InvalidObjectState"),
            "s3://b: archived; restore it first (aws s3api restore-object)",
            False,
        ),
        (
            response_error("PreconditionFailed"),
            "s3://b: changed since it was listed; repeat the command",
            False,
        ),
        (
            response_error("SlowDown"),
            "s3://b: AWS throttles requests (SlowDown): wait, then repeat the command",
            True,
        ),
        (
            response_error("ExpiredToken"),
            "the AWS credentials have expired: sign in again and repeat the command",
            True,
        ),
        (
            response_error("RequestTimeTooSkewed"),
            "AWS rejects requests because this machine's clock is wrong: set the clock",
            True,
        ),
        (
            TokenRetrievalError(provider="sso", error_msg="secret-token"),
            "no valid AWS credentials: sign in (aws sso login, aws configure), set AWS_PROFILE,"
            " or give --profile (TokenRetrievalError)",
            True,
        ),
        (
            IncompleteReadError(actual_bytes=1, expected_bytes=2),
            "s3://b: IncompleteReadError: 1 read, but total bytes expected is 2.",
            False,
        ),
    ],
)
def test_each_error_names_the_remedy(error, message, is_fatal) -> None:
    translated = translate(error)
    assert (str(translated), translated.is_fatal) == (message, is_fatal)


def test_only_s3_errors_mention_requester_pays() -> None:
    translated = translate(response_error("UnauthorizedOperation"), "ec2:DescribeVpcs")
    assert str(translated) == "s3://b: access denied; this identity needs ec2:DescribeVpcs"


def test_a_session_description_has_no_secret() -> None:
    ask = AwsSession("audit", "eu-west-1", "https://user:secret@host:1")
    ask.__dict__["caller"] = {"account": None, "arn": None}
    assert ask.describe() == {"caller": None, "endpoint": "https://host:1"}
