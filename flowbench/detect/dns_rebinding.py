"""Public names that resolved to the instance metadata service.

The operator of a name can answer with 169.254.169.254, so that a browser or proxy on the instance
fetches its credentials for a page from elsewhere (DNS rebinding; GuardDuty's
UnauthorizedAccess:EC2/MetadataDNSRebind). Flow logs do not record the connection that follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import pandas as pd
from ibis import _

from flowbench.detect.dns_tunnelling import dns_clients
from flowbench.enrich.domain_names import is_public_name
from flowbench.schema import to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

METADATA_ADDRESSES = ("169.254.169.254", "fd00:ec2::254")


def find_rebinding(case: Case) -> pd.DataFrame:
    """Find the public names that answered a client with an address of the metadata service.

    AWS's own name of it, instance-data.ec2.internal, is not public.

    Returns:
        A row for each client and name, in this order: host, name, first_seen, last_seen, queries.
    """
    dns = dns_clients(case.dns).filter(is_public_name(_.name))
    to_metadata = ibis.or_(*(dns.answers.contains(address) for address in METADATA_ADDRESSES))
    rows = dns.filter(to_metadata).group_by("host", "name").aggregate(
        first_seen=_.query_time.min(), last_seen=_.query_time.max(), queries=_.count()
    )  # fmt: skip
    return to_frame(rows.order_by(["host", "name"]).to_pyarrow())
