"""What the nodes of a graph are: internal addresses at a level, and groups of external ones."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from flowbench.errors import InputError

# Level: the column of the address inventory with its nodes. ``tag:KEY`` is a level too.
LEVELS = {
    "address": "address",
    "interface": "interface_id",
    "instance": "instance_id",
    "subnet": "subnet_id",
    "vpc": "vpc_id",
    "account": "account_id",
    "service": "service",
    "country": "country",
    "network owner": "network_owner",
}
OUTSIDERS = ("address", "country", "network owner", "together")
INTERNAL, EXTERNAL = "internal", "external"

_TAG = "tag:"
_ABROAD = ("country", "network owner")  # levels at which the internal addresses are one node


def check_level(level: str, outsiders: str) -> None:
    """Raise InputError if there is no such level, or no such way to group outsiders."""
    if level not in LEVELS and not (level.startswith(_TAG) and len(level) > len(_TAG)):
        raise InputError(f"unknown level {level!r}: choose one of {', '.join(LEVELS)}, tag:KEY")
    if outsiders not in OUTSIDERS:
        raise InputError(f"cannot group outsiders by {outsiders!r}: choose {', '.join(OUTSIDERS)}")


def tag_of(level: str) -> str | None:
    """The key of the tag whose values are the nodes of a level; None for other levels."""
    return level[len(_TAG) :] if level.startswith(_TAG) else None


def name_nodes(
    ends: pd.DataFrame, level: str, outsiders: str, apart: Collection[str] = ()
) -> pd.Series:
    """Return the node of each end.

    Args:
        ends: Rows of the address inventory with ``tag``, the value of the level's tag.
        level: One of LEVELS, or ``tag:KEY``. An internal address without such a value is a node of
            its own.
        outsiders: One of OUTSIDERS.
        apart: External addresses that are not grouped.
    """
    if level in _ABROAD:
        outsiders = level
        internal = pd.Series(INTERNAL, index=ends.index)
    elif (key := tag_of(level)) is not None:
        # With the key before it, no value of a tag can pass for an address.
        internal = (f"{key}=" + ends["tag"]).fillna(ends["address"])
    else:
        internal = ends[LEVELS[level]].fillna(ends["address"])
    external = _name_outsiders(ends, outsiders)
    external = external.where(~ends["address"].isin(list(apart)), ends["address"])
    names = internal.where(ends["internal"].astype(bool), external)
    return names.astype(str)


def _name_outsiders(ends: pd.DataFrame, outsiders: str) -> pd.Series:
    if outsiders == "together":
        return pd.Series(EXTERNAL, index=ends.index)
    if outsiders == "country":
        return ends["country"].fillna("no known country")
    if outsiders == "network owner":
        number = ("AS" + ends["asn"].astype("string")).fillna("")
        owner = number.str.cat(ends["network_owner"].astype("string").fillna(""), sep=" ")
        return owner.str.strip().replace("", "no known network owner")
    return ends["address"]
