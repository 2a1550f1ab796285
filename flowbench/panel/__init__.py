"""Panels for notebooks: each shows a case, and every choice in it can be copied as code."""
