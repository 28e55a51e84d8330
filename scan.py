#!/usr/bin/env python3
"""Lists the Bluetooth devices around: short for ./dbus-btbattery.py scan."""

from service.cli import exit_quietly_on_sigterm, run_as_program

if __name__ == "__main__":
    exit_quietly_on_sigterm()
    run_as_program(["scan"])
