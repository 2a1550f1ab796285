"""Every kind of evidence, in the order in which a file is offered to them: the first match wins.

The order matters where two kinds would accept the same bytes: formats with marks of their own come
before general ones (every feed before the plain and CSV lists).
"""

from __future__ import annotations

from functools import cache
from types import ModuleType

from flowbench.loaders.aws import (
    cloudtrail,
    flow_log_settings,
    guardduty,
    instances,
    interfaces,
    nat_gateways,
    resolver,
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

KINDS: tuple[ModuleType, ...] = (
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
    cloud_ranges,
    cloudtrail,
    aws_config,
    resolver,
    flow_log_settings,
    flow_csv,
    flow_json,
    flow_text,
    flow_parquet,
    geo_csv,
    guardduty,
    lists,
    instances,
    interfaces,
    mmdb,
    nat_gateways,
    ocsf,
    security_groups,
    subnets,
    vpcs,
)


@cache
def tables() -> dict[str, Table]:
    """Every table that loading can fill, by name."""
    return {kind.TABLE.name: kind.TABLE for kind in KINDS} | {QUARANTINE.name: QUARANTINE}
