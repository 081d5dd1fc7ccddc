"""Find a model or a vocoder by name, path or fingerprint."""
