"""Thin Click commands: parse, make one library call, echo."""
