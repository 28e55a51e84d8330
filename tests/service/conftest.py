"""The double of BlueZ, for the commands that need one."""

from tests.doubles.bluez_process import bluez, bluez_with  # fixtures

__all__ = ["bluez", "bluez_with"]
