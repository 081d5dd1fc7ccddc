"""The spectrogram codec: encoder, quantiser, decoder, their objective and their file."""
