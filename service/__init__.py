"""Composition: the daemon, the command line, and what people see of them."""

VERSION = "0.4.0"
PROGRAM = "dbus-btbattery"
