"""The BlueZ double, for the tests of the double itself."""

from tests.doubles.bluez_process import bluez_with  # a fixture

__all__ = ["bluez_with"]
