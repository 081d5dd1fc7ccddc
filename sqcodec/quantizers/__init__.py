"""Quantisers: latents -> codewords and codes, with the regulariser of the training loss."""
