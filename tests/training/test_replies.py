"""Replies: the same words as text and as HTML, and nothing in them becomes markup."""

from __future__ import annotations

from flowbench.training import replies
from flowbench.training.progress import Attempts
from flowbench.training.replies import Reply


def test_text_and_html_have_the_same_words() -> None:
    reply = Reply(True, ["Right.", "Use `a < b`."], [["Name", "Points"], ["<i>", "4"]])
    assert repr(reply) == "Right.\nUse `a < b`.\nName  Points\n<i>   4"
    shown = reply._repr_html_()
    assert "<b>Right.</b>" in shown
    assert "Use <code>a &lt; b</code>." in shown
    assert "<td" in shown
    assert "<i>" not in shown


def test_controls_and_odd_backticks_are_text() -> None:
    reply = Reply(None, ["a ` b\x1b[2J"])
    assert "\x1b" not in repr(reply) + reply._repr_html_()
    assert "<b>a ` b" in reply._repr_html_()


def test_a_course_adds_up() -> None:
    solved = {"a": Attempts(solved=True, hints=1), "b": Attempts(wrong=2)}
    reply = replies.course({"1. One": (solved, 12), "2. Two": ({}, 8)}, "")
    assert list(reply.lines) == ["3 of 20 points."]
    assert [list(row) for row in reply.rows] == [
        ["Lesson", "Solved", "Points"],
        ["1. One", "1 of 3", "3 of 12"],
        ["2. Two", "0 of 2", "0 of 8"],
    ]
