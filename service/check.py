"""The ``check`` command: read everything that ``run`` would read, say what was understood, and do nothing else."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import Sequence

from config.options import OPTIONS
from service.plan import PlannedBattery, load_options, plan_batteries, plan_configuration


def check_command(arguments: Namespace) -> int:
    """Print batteries, topology and options. Raises :class:`ConfigError`."""
    values, warnings = load_options(arguments)
    for warning in warnings:
        _warn(warning)
    if arguments.addresses or values["BATTERIES"]:
        planned = plan_batteries(arguments.addresses, values, _warn)
        configuration = plan_configuration(planned, values, None)
        print("{} of {}".format(configuration.topology, len(planned)))
        _print_batteries(planned)
    for option in OPTIONS.values():
        print("{}   {}".format(option.show(values[option.name]), option.meaning))
    return 0


def _warn(warning: str) -> None:
    print(warning, file=sys.stderr)


def _print_batteries(planned: Sequence[PlannedBattery]) -> None:
    for battery in planned:
        known = battery.configuration
        print("{} {} over {}".format(known.battery, known.label, known.connection))
        for text in battery.own_options:
            print("    {}".format(text))
