"""Training of vocoders: crops of sound, losses, discriminators, loop."""
