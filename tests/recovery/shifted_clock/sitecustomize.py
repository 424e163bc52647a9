"""On PYTHONPATH of a process, shifts its wall clock by the seconds in the file PENSTOCK_TEST_CLOCK.

Python's own reading of the wall clock is the only one Penstock uses; waits stay as they are.
"""

import os
import time
from pathlib import Path

_offset = Path(os.environ["PENSTOCK_TEST_CLOCK"])
_time, _time_ns = time.time, time.time_ns


def _seconds() -> int:
    return int(_offset.read_text() or 0)


time.time = lambda: _time() + _seconds()
time.time_ns = lambda: _time_ns() + _seconds() * 1_000_000_000
