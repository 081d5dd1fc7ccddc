"""Audio -> log-mel spectrogram."""
