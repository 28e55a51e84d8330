"""Batteries over Bluetooth LE."""

from adapters.ble.bluez_radio import BluezRadio
from adapters.ble.broker import AdapterBroker, look, usable
from adapters.ble.discovery import listen_on

__all__ = ["AdapterBroker", "BluezRadio", "listen_on", "look", "usable"]
