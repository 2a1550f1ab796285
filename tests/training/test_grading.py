"""Grading: a perfect, a half and an empty answer; accusations; files of any content."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.errors import InputError
from flowbench.scenario.exercises.facts import AnswerKey, Fact, Indicator
from flowbench.training.grading import (
    GRADES,
    Answers,
    Grade,
    grade,
    grade_class,
    read_answers,
    to_frame,
)

T0 = 1_788_220_800  # 2026-09-01 00:00 UTC
FACTS = [
    Fact("traffic", "administrative session", "192.0.2.66", "10.0.0.5", T0),
    Fact("api", "CreateUser", "ada", "eve", T0 + 600),
]
INDICATORS = [
    Indicator("address", "192.0.2.66", "logged in"),
    Indicator("domain", "pool.example", "a pool"),
]
KEY = AnswerKey(
    "crypto-mining",
    {"window": 60},
    "A host mined.",
    FACTS,
    INDICATORS,
    involved=["ada", "10.0.0.5"],
    benign={"10.0.0.9": "a licence server", "bob": "an employee"},
    aliases={"10.0.0.9": ["web-9"], "10.0.0.5": ["web-5"]},
)
TIMELINE = """time,actor,activity,object
2026-09-01T00:00:20Z,192.0.2.66,SSH session,web-5
2026-09-01 00:10:00,ada,CreateUser,eve
"""


def answer(folder: Path, **files: str) -> Grade:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return grade(KEY, read_answers(folder))


def test_a_perfect_answer(tmp_path: Path) -> None:
    marked = answer(
        tmp_path, timeline=TIMELINE, indicators="indicator\n192.0.2[.]66\nPool.Example.\n"
    )
    assert marked.score == 100
    assert (list(marked.stated), list(marked.found)) == ([True, True], [True, True])
    assert [*marked.accused, *marked.unknown, *marked.rejected] == []


def test_a_half_answer_shows_what_is_missing(tmp_path: Path) -> None:
    rows = "".join(TIMELINE.splitlines(keepends=True)[:2])
    marked = answer(tmp_path, timeline=rows, indicators="value,kind\npool.example,domain\n")
    assert marked.score == 50
    sheet = marked.to_text().splitlines()
    assert sheet[0] == f"{tmp_path.name}: 50 of 100"
    assert "  yes  2026-09-01 00:00:00 UTC  192.0.2.66 - administrative session - 10.0.0.5" in sheet
    assert "  no   2026-09-01 00:10:00 UTC  ada - CreateUser - eve" in sheet
    assert "  no   address 192.0.2.66: logged in" in sheet
    assert "Indicators found: 1 of 2." in sheet


def test_an_empty_answer(tmp_path: Path) -> None:
    marked = answer(tmp_path, timeline="time,actor,activity\n", indicators="indicator\n")
    assert (marked.score, marked.rows) == (0, 0)


def test_accusations_take_points_and_unknown_indicators_none(tmp_path: Path) -> None:
    listed = "indicator\n192.0.2.66\nweb-9\nbob\n10.0.0.5\nada\n203.0.113.5\n"
    marked = answer(tmp_path, timeline=TIMELINE, indicators=listed)
    assert list(marked.accused) == ["10.0.0.9: a licence server", "bob: an employee"]
    assert list(marked.unknown) == ["203.0.113.5"]
    assert marked.score == 25
    assert "Benign, but in the list (one point off for each): 2." in marked.to_text()
    only_wrong = answer(tmp_path, timeline="time,actor,activity\n", indicators="indicator\nbob\n")
    assert only_wrong.score == 0


@pytest.mark.parametrize(("indicators", "score"), [([], 100), (["bob"], 0), (["203.0.113.5"], 100)])
def test_where_nothing_happened_nobody_is_to_be_accused(indicators: list[str], score: int) -> None:
    key = AnswerKey("nothing-happened", {"window": 60}, benign={"bob": "an employee"})
    assert grade(key, Answers("a", indicators=indicators)).score == score


def test_a_class_is_a_table(tmp_path: Path) -> None:
    first = answer(tmp_path / "ann", timeline=TIMELINE)
    second = answer(tmp_path / "ben", indicators="indicator\npool.example\n")
    frame = to_frame([first, second])
    assert list(frame.columns) == GRADES.columns
    assert frame["answers"].tolist() == ["ann", "ben"]
    assert frame["score"].tolist() == [50, 25]
    assert frame["facts_stated"].tolist() == [2, 0]


def test_a_class_with_answers_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "ben.csv").write_bytes(b"")
    answer(tmp_path / "ann", timeline=TIMELINE)
    nothing = AnswerKey("nothing-happened", {"window": 60})
    for key, scores in ((KEY, [50, 0]), (nothing, [100, 0])):
        grades = grade_class(key, [tmp_path / "ann", tmp_path / "ben.csv"])
        assert [(each.score, each.is_unread) for each in grades] == [
            (scores[0], False),
            (scores[1], True),
        ]
        assert "neither the columns time" in grades[1].rejected[0]


def test_bad_lines_are_rejected_with_file_and_line(tmp_path: Path) -> None:
    text = TIMELINE + "yesterday,ada,CreateUser,eve\n,,\n\nx,y,z,1,2,3,4\n"
    marked = answer(tmp_path, timeline=text, indicators='indicator,note\n"",x\n"a\nb",y\n')
    assert list(marked.rejected) == [
        "indicators.csv, line 2: the indicator is empty",
        "timeline.csv, line 4: 'yesterday' is not a time",
        "timeline.csv, line 5: '' is not a time",
        "timeline.csv, line 7: 'x' is not a time",
    ]
    assert "  a\\x0ab" in marked.to_text().splitlines()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "neither the columns time, actor, activity"),
        (b"a,b\n1,2\n", "line 1: neither the columns time, actor, activity of a timeline"),
        (b"indicator\n\xff\n", "is not a CSV file in UTF-8"),
        (b'indicator\n"' + b"x" * 200_000 + b'"\n', "is not a CSV file in UTF-8: field larger"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "answers.csv"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_answers(path)


def test_a_folder_without_csv_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no CSV file"):
        read_answers(tmp_path)
    with pytest.raises(InputError, match="cannot read"):
        read_answers(tmp_path / "none.csv")
