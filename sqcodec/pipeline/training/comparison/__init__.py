"""The verb `compare`: train every system with every seed, and lay the results side by side."""

from sqcodec.pipeline.training.comparison.plan import Cell, plan, system_names
from sqcodec.pipeline.training.comparison.run import Compared, compare

__all__ = ["Cell", "Compared", "compare", "plan", "system_names"]
