"""Requests to a time-stamp authority: only on loopback, here."""

from __future__ import annotations

import shutil

import pytest

from flowbench.errors import InputError
from flowbench.fetch.time_stamps import request_time_stamp
from tests.case.authority import Authority

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")


def test_an_authority_answers(tmp_path) -> None:
    authority = Authority(tmp_path / "authority")
    authority.answer = lambda query: b"answer to " + query
    with authority.serve() as url:
        assert request_time_stamp(url, b"query") == b"answer to query"
        with pytest.raises(InputError, match=r"Bad Request.*give\s+another authority"):
            request_time_stamp(url + "s", b"query")


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "ftp://127.0.0.1/", "127.0.0.1"])
def test_other_urls_are_refused(url) -> None:
    with pytest.raises(InputError, match="is not the URL of a time-stamp authority"):
        request_time_stamp(url, b"query")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://127.0.0.1:x/", "http://"])
def test_an_authority_that_does_not_answer(url) -> None:
    with pytest.raises(InputError, match="cannot get a time stamp from http"):
        request_time_stamp(url, b"query")
