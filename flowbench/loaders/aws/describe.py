"""What recorded answers of AWS's describe calls have in common: their containers, their tags."""

from __future__ import annotations

from flowbench.loaders.values import items, pick, text

# What stands beside the list in an answer that lists nothing.
_AROUND = {"nextToken", "responseMetadata", "NextToken", "ResponseMetadata"}


def listed(value: object, name: str, key: str, *others: str) -> list[object] | None:
    """The elements of the answer that calls its list ``name``, or None for anything else.

    The answer may be wrapped in ``data`` (recorded API calls); the list may stand alone, and so may
    one element. An element has its id under ``key``; where it does not stand in an answer of its
    own, it must have one of the other keys as well.
    """
    for whole in (value, pick(value, "data")):
        found = pick(whole, name)
        if not isinstance(found, list) or not isinstance(whole, dict):
            continue
        own = len(whole.keys() - _AROUND) == 1
        if any(text(pick(one, key)) if own else has(one, key, *others) for one in found):
            return found
        if own and not found:
            return found
    alone = value if isinstance(value, list) else [value]
    return alone if any(has(one, key, *others) for one in alone) else None


def has(value: object, key: str, *others: str) -> bool:
    """Whether a value is an object with the id ``key`` and at least one of the other keys."""
    return bool(text(pick(value, key))) and any(pick(value, name) is not None for name in others)


def tags(record: object) -> dict[str, str]:
    """The tags of a described thing; a key without a value has the empty text."""
    found = items(pick(record, "tagSet")) or items(pick(record, "tags"))
    pairs = ((text(pick(tag, "key")), text(pick(tag, "value")) or "") for tag in found)
    return {key: value for key, value in pairs if key is not None}
