"""Codes to bytes and back, exactly."""
