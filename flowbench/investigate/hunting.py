"""A case with the questions of a hunter: which hosts, which connections, most, new, between whom.

What may be large is an Ibis table in a total order, which a notebook shows the first rows of;
``.to_pandas()`` reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import ibis
import pandas as pd

from flowbench import case as cases
from flowbench.errors import InputError
from flowbench.investigate.host_conditions import at_side, equals, has_tag, read_hosts
from flowbench.investigate.peers import list_peers
from flowbench.investigate.top_traffic import rank_traffic
from flowbench.investigate.traffic import read_traffic
from flowbench.investigate.where import And, Or, filter_inventory, parse


class Case(cases.Case):
    """One investigation, with the questions of a hunter. Make it with ``create`` or ``open``."""

    def find(
        self,
        hosts: str = "",
        *,
        cidr: str | None = None,
        name: str | None = None,
        tag: str | None = None,
        instance: str | None = None,
    ) -> ibis.Table:
        """Find hosts: the rows of the address inventory that match all that is given.

        Args:
            hosts: An address, a network, an instance, an interface, a subnet, a VPC, an account,
                the value of a Name tag, a domain; or a filter expression over fields of ends, such
                as ``owner ~ hosting and country != US`` (docs/filters.md).
            cidr: An address or a network.
            name: The value of a Name tag.
            tag: ``KEY=VALUE``, or ``KEY`` with any value.
            instance: An instance id.

        Returns:
            Rows of ``addresses``, by address and time: an address that was assigned several times
            has several. Addresses that neither connections nor the inventory have are not there.

        Raises:
            InputError: Nothing is given, or nothing in the case is called so; the text names the
                nearest names.
        """
        terms = [read_hosts(self, hosts)] if hosts else []
        for field, text in (("ip", cidr), ("name", name), ("instance", instance)):
            if text is not None:
                terms.append(equals(self, field, text))
        if tag is not None:
            terms.append(has_tag(self, tag))
        if not terms:
            raise InputError("no host is given: write case.find('10.0.0.0/8') or name=, tag=, …")
        found = filter_inventory(self, at_side(And(tuple(terms)), "src"))
        return found.order_by(
            found.address, found.valid_from.asc(nulls_first=True), found.interface_id
        )

    def traffic(
        self, where: str = "", *, tags: Iterable[str] = (), nat_hops: bool = False
    ) -> ibis.Table:
        """Return connections with duration, day and hour, and what both ends were (TRAFFIC).

        Args:
            where: A filter expression (docs/filters.md); '' for all.
            tags: Keys of tags; each becomes a column of both ends: ``initiator_tag:env``.
            nat_hops: Whether to include connections with a NAT gateway at one end: its clients have
                rows of their own, so that traffic then counts twice. Where only the gateway's
                interface is logged, without packet addresses, these are the only rows.

        Returns:
            The columns of ``connections``, ``duration`` (seconds), ``day``, ``hour`` and
            ``hour_of_day`` (of first_seen, UTC), and for the initiator and the responder each
            ``_name``, ``_instance_id``, ``_subnet_id``, ``_vpc_id``, ``_tags``, ``_country``, …
            (traffic.TRAFFIC); by first_seen, ends and ports.

        Raises:
            FilterError: The filter cannot be read.
        """
        return read_traffic(self, where, tags=tags, nat_hops=nat_hops)

    def between(
        self,
        one: str,
        other: str,
        where: str = "",
        *,
        tags: Iterable[str] = (),
        nat_hops: bool = False,
    ) -> ibis.Table:
        """Return the connections between two groups of hosts, whichever opened them.

        Args:
            one: Hosts, as ``find`` takes them: ``subnet-0aaa``, ``tag:env = prod``.
            other: The other hosts.
            where: A filter expression that the connections match too.
            tags: See ``traffic``.
            nat_hops: See ``traffic``.

        Returns:
            Rows as ``traffic`` returns them.

        Raises:
            InputError: Nothing in the case is called so, or an expression cannot be read.
        """
        first, second = read_hosts(self, one), read_hosts(self, other)
        ways = [
            And((at_side(initiator, "src"), at_side(responder, "dst")))
            for initiator, responder in ((first, second), (second, first))
        ]
        condition = And((Or(tuple(ways)), parse(where)))
        return read_traffic(self, condition, tags=tags, nat_hops=nat_hops)

    def peers(
        self,
        hosts: str = "",
        *,
        first_seen_after: str | datetime | None = None,
        where: str = "",
        nat_hops: bool = False,
    ) -> ibis.Table:
        """List with whom hosts communicated: the external peers of all, or all peers of some.

        Args:
            hosts: Hosts, as ``find`` takes them; '' for all internal hosts, of which only the
                external peers are listed.
            first_seen_after: List peers whose first connection with these hosts, of those that
                match, began at this time or later: a time in UTC, ``2026-09-02`` or
                ``2026-09-02T03:00``.
            where: A filter expression: which connections count.
            nat_hops: See ``traffic``.

        Returns:
            A row for each peer (peers.PEERS): first and last connection, hosts, connections,
            bytes each way, and what the inventory has of it; by first_seen and address.

        Raises:
            InputError: Nothing in the case is called so, an expression or time cannot be read.
        """
        condition = read_hosts(self, hosts) if hosts else None
        return list_peers(self, condition, first_seen_after, where, nat_hops=nat_hops)

    def top(
        self,
        *by: str,
        measure: str = "bytes",
        where: str = "",
        most: int = 10,
        nat_hops: bool = False,
    ) -> pd.DataFrame:
        """Sum connections by some columns, and return the largest sums.

        ``case.top("host", "day")`` has the internal hosts with the most bytes on a day;
        ``case.top("initiator", "hour", measure="rejected")`` bursts of rejections;
        ``case.top("responder_tag:env", "service_port")`` ports by tag.

        Args:
            by: Columns of ``traffic``, or of the view of hosts: ``host`` (an internal address; at
                either end), ``peer`` (the other end), and both with ``_name``, ``_subnet_id``,
                ``_country`` and so on. ``_tag:KEY`` after an end is the value of a tag.
            measure: What counts: ``connections``, ``rejected``, ``answered``, ``bytes``,
                ``duration`` (seconds, of all connections together), ``ports`` (different service
                ports); ``bytes_out``, ``bytes_in``, ``initiators``, ``responders`` by the columns
                of ``traffic``, ``bytes_sent``, ``bytes_received``, ``peers`` by those of hosts.
            where: A filter expression: which connections count.
            most: The number of rows.
            nat_hops: See ``traffic``.

        Returns:
            The columns of ``by``, the measure, then connections, rejected, answered, bytes and
            bytes each way, first_seen and last_seen; the largest first. In the view of hosts a
            connection between two internal hosts counts for each.

        Raises:
            InputError: No column or measure is called so; the text names the nearest.
        """
        return rank_traffic(self, by, measure, where, most=most, nat_hops=nat_hops)
