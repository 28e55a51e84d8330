"""The radio over bleak and BlueZ. The only module that imports bleak.

Facts from a real bluetoothd 5.66: a device object vanishes 30 s after a disconnect, so none is kept
across a pause; a link that dropped must still be disconnected, or its notifications come twice after reconnecting;
two connects at once on one adapter disturb each other, so radios of one adapter share a lock.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Dict, List, Optional, Tuple

from bleak import BleakClient, BleakScanner
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.exc import BleakError

from adapters.radio import Link, LinkDropped, Radio
from core.protocols import Protocol
from core.protocols.base import Advertisement

FIND_S = 10.0
CONNECT_S = 15.0
WRITE_S = 3.0

CAUSE_NOT_FOUND = "not found"
CAUSE_DROPPED = "dropped"
CAUSE_CONNECT = "connect failed"
CAUSE_WRITE = "write failed"
CAUSE_NO_SERVICE = "no battery service"

_BLUEZ_ERRORS = (BleakError, OSError, EOFError, asyncio.TimeoutError)


class ScanFailed(Exception):
    """No scan could be made: why, in one line."""


class BleakRadio(Radio):
    """Reaches the battery at *address*. *turn* is shared by all radios of one adapter."""

    def __init__(self, address: str, protocol: Protocol, turn: asyncio.Lock) -> None:
        super().__init__(turn)
        self._address = address
        self._protocol = protocol

    async def connect(self) -> Link:
        """See :class:`Radio`."""
        try:
            device = await BleakScanner.find_device_by_address(self._address, timeout=FIND_S)
        except _BLUEZ_ERRORS as error:
            raise LinkDropped(CAUSE_CONNECT, "scan: {}".format(str(error) or type(error).__name__)) from None
        if device is None:
            raise LinkDropped(CAUSE_NOT_FOUND, "{} does not advertise".format(self._address))
        link = _BleakLink(device, self._protocol)
        try:
            await link.open()
        except BaseException:
            await link.close()
            raise
        return link


class _BleakLink(Link):
    def __init__(self, device: Any, protocol: Protocol) -> None:
        super().__init__(device.name)
        self._protocol = protocol
        self._client = BleakClient(device, disconnected_callback=self._on_disconnected, timeout=CONNECT_S)
        self._write_to: Optional[BleakGATTCharacteristic] = None
        self._with_response = False

    async def open(self) -> None:
        """Connect, find the characteristics by UUID, switch notifications on."""
        try:
            await self._client.connect()
            notify, self._write_to = self._characteristics()
            self._with_response = "write-without-response" not in self._write_to.properties
            await self._client.start_notify(notify, self._on_notification)
        except _BLUEZ_ERRORS as error:
            raise LinkDropped(CAUSE_CONNECT, str(error) or type(error).__name__) from None

    def _characteristics(self) -> Tuple[BleakGATTCharacteristic, BleakGATTCharacteristic]:
        protocol = self._protocol
        for uuids in zip(protocol.service_uuids, protocol.notify_uuids, protocol.write_uuids):
            service = self._client.services.get_service(uuids[0])
            notify = service.get_characteristic(uuids[1]) if service else None
            write = service.get_characteristic(uuids[2]) if service else None
            if notify is not None and write is not None:
                return notify, write
        raise LinkDropped(CAUSE_NO_SERVICE, "the device has none of the services of {}".format(protocol.label))

    def _on_notification(self, _: BleakGATTCharacteristic, data: bytearray) -> None:
        self.inbox.put(bytes(data))

    def _on_disconnected(self, _: BleakClient) -> None:
        self.inbox.fail(LinkDropped(CAUSE_DROPPED))

    async def write(self, data: bytes) -> None:
        """See :class:`Link`. The vendor's app writes without response; older modules know only the other kind."""
        assert self._write_to is not None
        try:
            written = self._client.write_gatt_char(self._write_to, data, response=self._with_response)
            await asyncio.wait_for(written, WRITE_S)
        except _BLUEZ_ERRORS as error:
            raise LinkDropped(CAUSE_WRITE, str(error) or type(error).__name__) from None

    async def close(self) -> None:
        """See :class:`Link`. Also after a drop: otherwise BlueZ keeps the subscription."""
        with contextlib.suppress(*_BLUEZ_ERRORS):  # bluetoothd or the device may be gone already
            await self._client.disconnect()


async def scan(seconds: float) -> List[Advertisement]:
    """Every device heard in *seconds*. Raises :class:`ScanFailed`."""
    try:
        found: Dict[str, Tuple[Any, Any]] = await BleakScanner.discover(timeout=seconds, return_adv=True)
    except _BLUEZ_ERRORS as error:
        reason = str(error) or type(error).__name__
        raise ScanFailed("cannot scan: {}; is Bluetooth switched on, and BlueZ running?".format(reason)) from None
    return [
        Advertisement(device.address, heard.local_name or device.name, heard.rssi, tuple(heard.service_uuids))
        for device, heard in found.values()
    ]
