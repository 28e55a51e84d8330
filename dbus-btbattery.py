#!/usr/bin/env python3
"""Bluetooth batteries for Victron's Venus OS: ./dbus-btbattery.py ADDRESS, or --help."""

from service.cli import exit_quietly_on_sigterm, run_as_program

if __name__ == "__main__":
    exit_quietly_on_sigterm()
    run_as_program()
