"""Segmentation: a declared policy, who belongs to its groups, and what was seen against it."""
