"""Networks, code search and vocoder at inference in NumPy, without torch. Arrays are float32, frames first: [T, C]."""
