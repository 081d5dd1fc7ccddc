"""What sqcodec costs, measured: `python -m benchmarks`. Everything runs on one thread of the CPU."""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # before torch and NumPy are imported
