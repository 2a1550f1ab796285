"""Every kind of evidence, in the order in which a file is offered to them: the first match wins.

The order holds within each way of reading: binary data, JSON and text (see ``recognition``). It
matters where two kinds would accept the same bytes. The flow log text reader comes first of the
text readers: most files are flow logs, and other text is hardly ever mistaken for one. Feeds with
formats of their own come before the plain and CSV lists of indicators.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType

from flowbench.loaders.aws import (
    cloudtrail,
    elastic_ips,
    flow_log_settings,
    guardduty,
    instances,
    interfaces,
    nat_gateways,
    network_acls,
    resolver,
    route_tables,
    security_groups,
    subnets,
    vpcs,
)
from flowbench.loaders.aws import config as aws_config
from flowbench.loaders.base import QUARANTINE
from flowbench.loaders.flowlogs import csv as flow_csv
from flowbench.loaders.flowlogs import json as flow_json
from flowbench.loaders.flowlogs import ocsf
from flowbench.loaders.flowlogs import parquet as flow_parquet
from flowbench.loaders.flowlogs import text as flow_text
from flowbench.loaders.geo import cloud_ranges, mmdb
from flowbench.loaders.geo import csv as geo_csv
from flowbench.loaders.intel import (
    abusech,
    abusech_csv,
    dshield,
    lists,
    misp,
    otx,
    spamhaus,
    stix,
    suricata,
    tor,
    warninglist,
)
from flowbench.schema import Table

# Feeds of indicators with formats of their own, of which each is sure; ``lists`` reads the rest.
FEEDS: tuple[ModuleType, ...] = (
    abusech,
    abusech_csv,
    dshield,
    misp,
    otx,
    spamhaus,
    stix,
    suricata,
    tor,
    warninglist,
)

KINDS: tuple[ModuleType, ...] = (
    flow_text,
    *FEEDS,
    cloud_ranges,
    cloudtrail,
    aws_config,
    resolver,
    flow_log_settings,
    flow_csv,
    flow_json,
    flow_parquet,
    geo_csv,
    guardduty,
    lists,
    elastic_ips,
    instances,
    interfaces,
    mmdb,
    nat_gateways,
    network_acls,
    ocsf,
    route_tables,
    security_groups,
    subnets,
    vpcs,
)

# The readers that ``--kind`` selects for text whose content looks like another kind: the first that
# recognises the file, else the last. A feed with ``matches_head`` joins ``indicators``; nothing
# else added to KINDS changes a name.
FORCED_READERS: dict[str, tuple[ModuleType, ...]] = {
    flow_text.KIND: (flow_csv, flow_text),
    geo_csv.KIND: (geo_csv,),
    lists.KIND: (*(feed for feed in FEEDS if hasattr(feed, "matches_head")), lists),
}


def kinds_with(attribute: str) -> list[ModuleType]:
    """Return the kinds that have an attribute of the loader protocol (see ``base``), in order."""
    return [kind for kind in KINDS if hasattr(kind, attribute)]


@cache
def tables() -> dict[str, Table]:
    """Return every table that loading can fill, by name."""
    return {kind.TABLE.name: kind.TABLE for kind in KINDS} | {QUARANTINE.name: QUARANTINE}
