"""Oddities: each says in the key whose it is, and is in the evidence."""

from __future__ import annotations

import random

import pytest

from flowbench.scenario.exercises.oddities import ODDITIES, add_oddities
from flowbench.scenario.exercises.recorder import Recorder


@pytest.mark.parametrize("oddity", ODDITIES, ids=lambda oddity: oddity.__name__.strip("_"))
def test_each_is_explained_and_in_the_evidence(recorder: Recorder, oddity) -> None:
    usual = dict(recorder.key.benign)
    before = len(recorder.connections) + len(recorder.events)
    oddity(recorder, random.Random(1))
    assert len(recorder.connections) + len(recorder.events) > before
    explained = {n: m for n, m in recorder.key.benign.items() if usual.get(n) != m}
    assert explained
    actors = {x.initiator for x in recorder.connections}
    actors |= {e["sourceIPAddress"] for e in recorder.events}
    actors |= {e["userIdentity"].get("userName") for e in recorder.events}
    actors |= {(e["requestParameters"] or {}).get("userName") for e in recorder.events}
    assert set(explained) <= actors
    assert not recorder.key.facts


def test_no_more_than_there_are(recorder: Recorder) -> None:
    add_oddities(recorder, 99)
    assert "is a new colleague" in recorder.key.benign.values()
