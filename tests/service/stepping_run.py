"""Runs the program with an accelerated clock whose wall time is set on the way, and stops it after a given time.

``python -m tests.service.stepping_run RATE STOP_S STEP_AT_S STEP_S ARGUMENTS...``; times in seconds of its own clock.
"""

import os
import signal
import sys
import threading

from adapters.clock import AcceleratedClock
from service.cli import main


class SteppingClock(AcceleratedClock):
    """Somebody sets the wall clock *step_s* forward (or back) *at_s* after the start."""

    def __init__(self, rate, stop_s, at_s, step_s):
        super().__init__(rate)
        self._stop = threading.Timer(stop_s / rate, os.kill, (os.getpid(), signal.SIGTERM))
        self._at_us, self._step_us = at_s * 1e6, int(step_s * 1e6)

    def boot_id(self):
        self._stop.start()  # the daemon begins: what is measured does not include loading the program
        return super().boot_id()

    def wall_us(self):
        return super().wall_us() + (self._step_us if self._elapsed_us() >= self._at_us else 0)


if __name__ == "__main__":
    rate, stop_s, step_at_s, step_s = (float(text) for text in sys.argv[1:5])
    sys.exit(main(sys.argv[5:], clock=SteppingClock(rate, stop_s, step_at_s, step_s)))
