"""Sentences about internal services that a host attempted, or connected to."""

from __future__ import annotations

import pandas as pd

from flowbench.detect.baseline import Baseline
from flowbench.enrich.inventory import AssignmentLookup
from flowbench.enrich.ports import label
from flowbench.text import format_count, format_duration, list_some

_NAMED = 8  # services in a sentence
_SERVICE_NAMES = {  # as AWS writes them; up to four letters are an abbreviation
    "elasticache": "ElastiCache",
    "glue": "Glue",
    "lambda": "Lambda",
    "opensearch": "OpenSearch",
    "redshift": "Redshift",
}


def baseline_note(baseline: Baseline | None, lifetime: float | None, span: float) -> str:
    """Return the sentence on the baseline of a host.

    Args:
        baseline: The baseline period, if the host has one.
        lifetime: Else the seconds for which the logs show it, where that is why it has none.
        span: The seconds that the logs span.
    """
    if baseline:
        length = format_duration(baseline.seconds)
        return f"The baseline is the first {length} of the logs; it may contain malicious traffic."
    if lifetime is not None:
        return (
            f"The logs show the host for {format_duration(lifetime)}, too short for a baseline:"
            " what it usually connects to is not known."
        )
    return (
        f"The logs span {format_duration(span)}, too short for a baseline: the finding rests"
        " on rejected attempts or the number of services alone."
    )


def describe_outcome(rejected: pd.DataFrame) -> str:
    """Return how many of the attempts were rejected; none was answered."""
    count, total = int(rejected["rejected"].sum()), int(rejected["connections"].sum())
    if count == total:
        return "All were rejected" if total > 1 else "It was rejected"
    return f"{count:,} {'was' if count == 1 else 'were'} rejected, none was answered"


def list_services(rows: pd.DataFrame, assignments: AssignmentLookup, noun: str) -> str:
    """Name the services, each with what the inventory knows of its host and its connections.

    Args:
        rows: Connection summaries.
        assignments: What the inventory knows of the responders.
        noun: What to count: "attempt", "connection".
    """
    named = []
    for row in rows.to_dict("records")[:_NAMED]:
        known = assignments.at(row["responder"], row["first_seen"]) or {}
        service = known.get("service") or ""
        service = _SERVICE_NAMES.get(service, service.upper() if len(service) <= 4 else service)
        host = " ".join(filter(None, [service, known.get("name"), row["responder"]]))
        port = label(row["service_port"], row["protocol"])
        named.append(f"{host} {port}: {format_count(row['connections'], noun)}")
    named += [""] * (len(rows) - len(named))
    return list_some(named, _NAMED, separator="; ")
