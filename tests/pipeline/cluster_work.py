"""What a worker of a test does: it dies once, in the middle of its work."""

import os
from pathlib import Path


def die_once(number: int, mark: str) -> int:
    """The square; the first to be given 3 ends its whole process."""
    if number == 3 and not Path(mark).exists():
        Path(mark).touch()
        os._exit(9)
    return number**2
