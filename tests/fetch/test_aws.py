"""What boto3's errors become: the thing, the reason, the remedy."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, IncompleteReadError, TokenRetrievalError

from flowbench.fetch.aws import Account, Refused, asking


def refused(error: Exception, action: str = "s3:ListBucket") -> Refused:
    with pytest.raises(Refused) as caught, asking(action, "s3://b"):
        raise error
    return caught.value


def answer(code: str, message: str = "m", **headers: str) -> ClientError:
    metadata = {"HTTPHeaders": {name.replace("_", "-"): text for name, text in headers.items()}}
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}
    return ClientError(response, "ListObjectsV2")


@pytest.mark.parametrize(
    ("error", "said", "everywhere"),
    [
        (
            answer("AccessDenied"),
            "s3://b: access denied; this identity needs s3:ListBucket; a requester-pays bucket says"
            " the same: then --requester-pays",
            False,
        ),
        (
            answer("AccessDenied", "User: x is not authorized to perform: kms:Decrypt on resource"),
            "s3://b: access denied; this identity needs kms:Decrypt; a requester-pays bucket says"
            " the same: then --requester-pays",
            False,
        ),
        (
            answer("PermanentRedirect", x_amz_bucket_region="eu-west-1"),
            "s3://b lies in another region: --region eu-west-1",
            True,
        ),
        (
            answer("AuthorizationHeaderMalformed"),
            "s3://b lies in another region: give its region with --region",
            True,
        ),
        (answer("NoSuchBucket"), "s3://b: there is no such bucket", True),
        (
            answer("InvalidObjectState"),
            "s3://b: archived; restore it first (aws s3api restore-object)",
            False,
        ),
        (
            answer("PreconditionFailed"),
            "s3://b: it changed since it was listed; run the same again",
            False,
        ),
        (
            answer("SlowDown"),
            "s3://b: AWS is throttling (SlowDown); wait, then run the same again",
            True,
        ),
        (
            answer("ExpiredToken"),
            "the AWS credentials have expired: sign in anew and run it again",
            True,
        ),
        (
            answer("RequestTimeTooSkewed"),
            "this machine's clock is wrong, and AWS does not accept that",
            True,
        ),
        (
            TokenRetrievalError(provider="sso", error_msg="secret-token"),
            "no AWS credentials that work: sign in (aws sso login, aws configure), set AWS_PROFILE,"
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
def test_every_refusal_says_what_to_do(error, said, everywhere) -> None:
    found = refused(error)
    assert (str(found), found.everywhere) == (said, everywhere)


def test_only_s3_speaks_of_requester_pays() -> None:
    found = refused(answer("UnauthorizedOperation"), "ec2:DescribeVpcs")
    assert str(found) == "s3://b: access denied; this identity needs ec2:DescribeVpcs"


def test_an_account_shows_no_secret() -> None:
    ask = Account("audit", "eu-west-1", "https://user:secret@host:1")
    ask.__dict__["caller"] = {"account": None, "arn": None}
    assert ask.about() == {"caller": None, "endpoint": "https://host:1"}
