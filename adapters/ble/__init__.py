"""Batteries over Bluetooth LE."""

from adapters.ble.bluez_radio import BluezRadio
from adapters.ble.broker import AdapterBroker
from adapters.ble.gatt import ScanRefused, listen

__all__ = ["AdapterBroker", "BluezRadio", "ScanRefused", "listen"]
