"""Spectrograms to sound."""
