"""Indicator feeds: one module per feed format, and the plain and CSV reader for all others."""
