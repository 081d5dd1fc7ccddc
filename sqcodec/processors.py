"""How many processors this process may use."""

import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def usable_processors(cgroups: Path = _CGROUPS) -> int:
    """Number of processors that affinity and the container's quota allow; at least 1.

    cgroups: where Linux shows the container's quota (control groups, version 1 or 2).
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, _quota(cgroups))))


def _quota(cgroups: Path) -> float:
    """Processors that the container may keep busy; infinite without a quota."""
    v1 = cgroups / "cpu"
    try:
        if (cgroups / "cpu.max").is_file():
            quota, period = (cgroups / "cpu.max").read_text(encoding="ascii").split()  # "200000 100000", "max 100000"
        else:
            quota, period = ((v1 / f"cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period"))
        return float(quota) / float(period) if quota != "max" and float(quota) > 0 else math.inf  # v1: -1 is none
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
