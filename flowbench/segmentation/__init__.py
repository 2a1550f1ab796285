"""Segmentation policies: load or parse a policy, and evaluate it against a case's connections."""

from flowbench.segmentation.evaluation import Evaluation, evaluate
from flowbench.segmentation.parser import load_policy, parse_policy, read_policy_text
from flowbench.segmentation.policy import Policy

__all__ = [
    "Evaluation",
    "Policy",
    "evaluate",
    "load_policy",
    "parse_policy",
    "read_policy_text",
]
