"""Options that select rows: --from, --until, --peer, --port, --rejected, --where."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from flowbench.errors import InputError
from flowbench.text import canonical_address, is_address, split_zone

_OPTIONS = {
    "from": click.option(
        "--from", "since", metavar="TIME", help="Only from this time on, UTC: 2026-09-01T12:00."
    ),
    "until": click.option("--until", metavar="TIME", help="Only before this time, UTC."),
    "peer": click.option("--peer", metavar="ADDRESS", help="Only with this address."),
    "port": click.option(
        "--port",
        "ports",
        type=click.IntRange(0, 65_535),
        multiple=True,
        metavar="PORT",
        help="Only this port (repeatable).",
    ),
    "rejected": click.option(
        "--rejected", is_flag=True, help="Only what was rejected; of API events, what failed."
    ),
    "where": click.option(
        "--where",
        metavar="FILTER",
        default="",
        help="Only what matches FILTER: 'src in 10.0.0.0/8 and dport = 22' (docs/filters.md).",
    ),
}


def filter_options(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add --from and --until, and those of --peer, --port, --rejected and --where that are named.

    The command gets them as ``filters``, an investigate.filters.Filters.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(
            *args: Any,
            since: str | None,
            until: str | None,
            peer: str | None = None,
            ports: tuple[int, ...] = (),
            rejected: bool = False,
            where: str = "",
            **kwargs: Any,
        ) -> None:
            from flowbench.fetch.bucket_layout import parse_time
            from flowbench.investigate.filters import Filters
            from flowbench.investigate.where import parse

            filters = Filters(
                parse_time(since) if since is not None else None,
                parse_time(until) if until is not None else None,
                parse_address(peer) if peer is not None else None,
                ports,
                rejected,
                parse(where),
            )
            command(*args, filters=filters, **kwargs)

        for name in reversed(("from", "until", *names)):
            run = _OPTIONS[name](run)
        return run

    return decorate


def parse_address(text: str) -> str:
    """Return an address as the case spells it, with its zone. Raises InputError for other text."""
    if not is_address(text):
        raise InputError(f"{text or repr(text)}: invalid IP address")
    address, zone = split_zone(text)
    if zone is not None and "-" not in zone and not zone.isdigit():  # fe80::1%eth0
        raise InputError(
            f"{text}: {zone} is not a VPC, account or interface id:"
            f" give the address without %{zone}"
        )
    parsed = canonical_address(address)
    return parsed if zone is None else f"{parsed}%{zone}"
