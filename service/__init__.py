"""Composition: the daemon, the command line, and what people see of them."""

VERSION = "0.3.0"
PROGRAM = "dbus-btbattery"
