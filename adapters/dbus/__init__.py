"""``com.victronenergy.battery`` services on D-Bus, the Venus way, and the settings service that they need there.

The only package that imports ``dbus_next``.
"""

from adapters.dbus.address import BusUnavailable, choose_address
from adapters.dbus.batteries import Batteries, PublishedBattery
from adapters.dbus.bluez import Bluez
from adapters.dbus.connection import NameTaken, probe
from adapters.dbus.private_bus import PrivateBus
from adapters.dbus.service import BusService
from adapters.dbus.settings import SettingsClient, SettingsEntry

__all__ = [
    "Batteries",
    "Bluez",
    "BusService",
    "BusUnavailable",
    "NameTaken",
    "PrivateBus",
    "PublishedBattery",
    "SettingsClient",
    "SettingsEntry",
    "choose_address",
    "probe",
]
