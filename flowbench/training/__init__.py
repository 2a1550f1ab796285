"""Training: lessons that check answers at once, and exercises that are graded with a key.

``open_lesson`` opens a lesson of notebooks/training. ``grading`` compares a trainee's timeline and
indicators with the answer key of a generated scenario.
"""

from flowbench.training.lesson import Lesson, open_lesson, progress

__all__ = ["Lesson", "open_lesson", "progress"]
