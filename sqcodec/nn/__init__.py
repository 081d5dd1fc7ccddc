"""Layers shared by codecs and vocoders."""
