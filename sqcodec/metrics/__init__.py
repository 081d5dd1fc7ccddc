"""Measures of quality and rate, each a file with its definition and source."""
