"""Batteries over Bluetooth LE."""

from adapters.ble.bleak_radio import BleakRadio, ScanFailed, scan

__all__ = ["BleakRadio", "ScanFailed", "scan"]
