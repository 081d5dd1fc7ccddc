"""Damaged files for every reader: `python -m tests.fuzz`."""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # before torch and NumPy are imported
