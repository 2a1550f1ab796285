"""Validation of a segmentation policy that is kept in a case (see ``segmentation``)."""

from __future__ import annotations

import yaml

from flowbench.errors import InputError


def check_policy(text: str) -> None:
    """Raise InputError for a text that is not a policy, or has neither rules nor countries.

    A policy without rules and without countries would permit every connection.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"not a segmentation policy, which is YAML: {reason}") from None
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    if not any(key.value in ("rules", "countries") and value.value for key, value in pairs):
        raise InputError(
            "a segmentation policy has neither rules nor countries: it has no effect. Add a"
            " rule (from, to, verdict) or a list of countries"
        )
