"""Run the command in tests, as a person types it."""

from __future__ import annotations

from click.testing import CliRunner, Result

from flowbench.cli import main

RECORD = (
    "2 123456789012 eni-0a 10.0.1.10 198.51.100.7 51544 443 6 18 3120"
    " 1788232200 1788232259 ACCEPT OK"
)
NODATA = "2 unknown eni-1 - - - - - - - 1788232200 1788232259 - NODATA"


def run(*arguments: object) -> Result:
    """Run the command; anything but an exit code is an error of the test."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if isinstance(result.exception, Exception):
        raise result.exception
    return result
