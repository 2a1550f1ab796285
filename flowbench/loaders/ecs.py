"""Flow log records as Elastic Common Schema documents, as Elastic's AWS integration writes them.

The integration keeps the original line in ``event.original`` only on request. Without it, the
record is in ``source``, ``destination``, ``network``, ``event`` and ``aws.vpcflow``; what the
integration adds (geography, host, agent) is left out.
"""

from __future__ import annotations

from flowbench.loaders.values import JsonObject

_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58}
_PATHS = {
    "account_id": ("cloud", "account", "id"),
    "srcaddr": ("source", "ip"),
    "dstaddr": ("destination", "ip"),
    "srcport": ("source", "port"),
    "dstport": ("destination", "port"),
    "protocol": ("network", "iana_number"),
    "packets": ("network", "packets"),
    "bytes": ("network", "bytes"),
    "start": ("event", "start"),
    "end": ("event", "end"),
    "region": ("cloud", "region"),
}


def to_record(document: JsonObject) -> JsonObject | None:
    """Return the fields of the flow log record in a document; None for other documents.

    Keys of the document may be nested, or have dots.
    """
    fields = _find(document, ("aws", "vpcflow"))
    if not isinstance(fields, dict):
        prefix = "aws.vpcflow."
        fields = {
            name.removeprefix(prefix): value
            for name, value in document.items()
            if name.startswith(prefix)
        }
    if not fields:
        return None
    record = {field: _find(document, path) for field, path in _PATHS.items()}
    if record["protocol"] is None:
        transport = _find(document, ("network", "transport"))
        record["protocol"] = _PROTOCOLS.get(str(transport).lower(), transport)
    return record | {name: value for name, value in fields.items() if value is not None}


def _find(document: JsonObject, path: tuple[str, ...]) -> object:
    """Return the value at a path, whichever of its keys are joined by dots."""
    for size in range(len(path), 0, -1):
        if (name := ".".join(path[:size])) in document:
            found: object = document[name]
            if size == len(path):
                return found
            return _find(found, path[size:]) if isinstance(found, dict) else None
    return None
