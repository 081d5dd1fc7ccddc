"""The spectrogram codec: encoder, quantiser, decoder, training objective and model file."""
