"""Which model and which vocoder: by name, by path, or by fingerprint."""
