"""Runs the program with simulated batteries that carry a load of a quarter of their capacity and are silent while a
file exists.

``python -m tests.service.switched_run FILE ARGUMENTS...``
"""

import math
import os
import sys

from adapters import simulated_battery
from adapters.simulated_battery import SimulatedBattery
from service.cli import main

DISCHARGING = 1.5 * math.pi
answer = SimulatedBattery.respond


def switched_by(path):
    """Batteries answer only while *path* does not exist."""

    def respond(battery, request, seconds):
        return b"" if os.path.exists(path) else answer(battery, request, seconds)

    return respond


if __name__ == "__main__":
    simulated_battery.BEGIN_ANGLE = DISCHARGING
    SimulatedBattery.respond = switched_by(sys.argv[1])
    sys.exit(main(sys.argv[2:]))
