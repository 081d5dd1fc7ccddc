"""Models of code sequences: how probable each next code is, to measure by and to draw from."""
