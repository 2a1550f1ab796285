"""Connections of internal hosts by country, and those that a policy prohibits.

Every external address that an internal host connected to is located (enrich.geography). A policy
lists the countries that are denied, or those that alone are allowed (segmentation.policy).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import pandas as pd

from flowbench.enrich.geography import locate
from flowbench.schema import to_frame
from flowbench.segmentation.results import RULE_RESULTS

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.segmentation import Policy


def locate_outbound(case: Case) -> ibis.Table:
    """Return the outbound connection summaries with data sent to a located address.

    With ``address``, ``country`` (ISO 3166-1) and ``country_source`` of the responder.
    """
    p = case.connection_summaries
    p = p.filter(p.direction == "outbound", ~p.intermediate, p.bytes_out > 0)
    responders = p.select("responder").distinct().order_by("responder").to_pyarrow()
    located = locate(responders["responder"].to_pylist(), case.table("geography"))
    located = located.select(["address", "country", "country_source"]).drop_null()
    countries = ibis.memtable(located)
    return p.join(countries, p.responder == countries.address)


def prohibited_countries(located: ibis.Table, policy: Policy) -> list[str]:
    """Return the countries of located connections that the policy prohibits, in order."""
    if not policy.countries:
        return []
    codes = located.select("country").distinct().to_pyarrow()["country"].to_pylist()
    return [code for code in sorted(codes) if not policy.allows(code)]


def read_summaries(summaries: ibis.Table) -> pd.DataFrame:
    """Return connection summaries as a frame, ordered by initiator, responder and port."""
    return to_frame(summaries.order_by("initiator", "responder", "service_port").to_pyarrow())


def tabulate_countries(policy: Policy, prohibited: pd.DataFrame) -> pd.DataFrame:
    """Return the policy's countries as a row of results (segmentation.results.RULE_RESULTS).

    Args:
        policy: A policy; without countries there is no row.
        prohibited: The connection summaries that they prohibit.
    """
    if not policy.countries:
        return RULE_RESULTS.frame([])
    lists = [
        f"{'allow' if allow else 'deny'} {', '.join(sorted(codes))}"
        for allow, codes in sorted(policy.countries.items())
    ]
    names = ("connections", "rejected", "answered")
    sums = {name: int(prohibited[name].sum()) for name in names}
    accepted = sums["connections"] > sums["rejected"]
    state = "violated" if accepted else "attempted" if sums["connections"] else "compliant"
    row = {"rule": f"countries: {'; '.join(lists)}", "verdict": "deny", "state": state, **sums}
    times = {
        "first_seen": prohibited["first_seen"].min(),
        "last_seen": prohibited["last_seen"].max(),
    }
    row |= {name: None if pd.isna(time) else time for name, time in times.items()}
    return RULE_RESULTS.frame([row | {"shadowed": 0}])
