"""A ``com.victronenergy.battery`` service on D-Bus, the Venus way. The only package that imports ``dbus_next``."""

from adapters.dbus.address import BusUnavailable, choose_address
from adapters.dbus.connection import NameTaken, probe
from adapters.dbus.private_bus import PrivateBus
from adapters.dbus.service import BusService

__all__ = ["BusService", "BusUnavailable", "NameTaken", "PrivateBus", "choose_address", "probe"]
