"""Measures of quality and rate, one file each, with definition and source."""
