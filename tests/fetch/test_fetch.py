"""The package: what needs boto3 and what does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from flowbench import fetch


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        fetch.nope  # noqa: B018


def test_only_the_functions_need_boto3() -> None:
    program = (
        "import sys; sys.modules['boto3'] = None\n"
        "from flowbench.errors import InputError\n"
        "from flowbench import fetch\n"
        "from flowbench.fetch import cloud_ranges\n"
        "try:\n    fetch.prepare\n"
        "except InputError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "fetching needs boto3: pip install 'flowbench[aws]'\n"
