"""Finding a device and talking GATT to it, over bleak. The only module that imports bleak.

Facts from a real bluetoothd 5.66, bleak 0.22 and 3.1: a device that bleak found vanishes 30 s after a disconnect, so
none is kept; a link that dropped must still be disconnected, or its notifications come twice after the next connect;
a client serves one connection only: bleak 0.22 believes for ever that it is connected when bluetoothd died.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, AsyncIterator, Callable, Dict, Optional, Tuple

from bleak import BleakClient, BleakScanner
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.exc import BleakDBusError, BleakError

from adapters.clock import Clock
from adapters.deadline import within
from adapters.radio import Link, LinkDropped
from core.link_causes import BLUEZ_GONE, DROPPED, NO_SERVICE, NOT_RESOLVED, PAIRING, WRITE_FAILED
from core.protocols import Protocol
from core.protocols.base import Advertisement

RESOLVE_S = 10.0
"""For bleak's part of a connect: its own bus connection, and the services of the device."""
NOTIFY_S = 5.0
WRITE_S = 3.0
CLOSE_S = 4.0
"""A disconnect takes bluetoothd 2 s."""
RELEASE_S = 0.5
"""The same when bluetoothd was killed: a new one knows nothing of the connection and leaves bleak waiting."""
_ENDLESS_S = 600.0
"""What bleak is told as its own time-out; the deadlines here end it long before."""

_ERRORS = (BleakError, OSError, EOFError, AssertionError, KeyError)
"""What bleak raises; the last three escape from 0.22 when BlueZ or the bus goes away under it."""
_SAYS_GONE = ("Not connected", "UnknownObject")
_WANTS_PAIRING = ("NotPermitted", "NotAuthorized", "AuthenticationFailed", "Insufficient", "not paired")


class ScanRefused(Exception):
    """BlueZ refused to scan: the last name of its error (``InProgress``) and its text."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text
        super().__init__("{}: {}".format(name, text) if name else text)


class Found:
    """A device in reach: where BlueZ has it, and how bleak calls it."""

    def __init__(self, device: BLEDevice) -> None:
        self.device = device
        self.name: Optional[str] = device.name
        self.path: str = device.details["path"]


def known(path: str, adapter_path: str, address: str, name: Optional[str]) -> Found:
    """A device that BlueZ still knows, as if it had been found just now: no scan, and nobody else's is disturbed."""
    details = {"path": path, "props": {"Address": address, "Alias": name or address, "Adapter": adapter_path}}
    old_bleak = {"rssi": -127} if "_rssi" in BLEDevice.__slots__ else {}
    return Found(BLEDevice(address, name, details, **old_bleak))


async def find(address: str, adapter: str, clock: Clock, seconds: float) -> Optional[Found]:
    """The device called *address*, once the *adapter* (``hci0``) hears it. Raises :class:`ScanRefused`."""
    heard: asyncio.Future[BLEDevice] = asyncio.get_event_loop().create_future()

    def on_advertisement(device: BLEDevice, _: Any) -> None:
        if device.address.upper() == address.upper() and not heard.done():
            heard.set_result(device)

    async with _scanning(on_advertisement, adapter):
        with contextlib.suppress(asyncio.TimeoutError):
            return Found(await clock.wait_for(heard, seconds))
    return None


async def listen(adapter: str, heard: Callable[[Advertisement, Optional[str]], None], seconds: float) -> None:
    """Tell *heard* of every advertisement, and the type of its address, for so long. Raises :class:`ScanRefused`."""

    def on_advertisement(device: BLEDevice, told: Any) -> None:
        properties = told.platform_data[1]
        if "RSSI" in properties:  # else BlueZ only tells that something changed about a device, e.g. its connection
            advertisement = Advertisement(device.address, told.local_name, told.rssi, tuple(told.service_uuids))
            heard(advertisement, properties.get("AddressType"))

    async with _scanning(on_advertisement, adapter):
        await asyncio.sleep(seconds)


@contextlib.asynccontextmanager
async def _scanning(on_advertisement: Callable[[BLEDevice, Any], None], adapter: str) -> AsyncIterator[None]:
    try:
        scanner = BleakScanner(on_advertisement, **_over(adapter))
        await scanner.start()
    except BleakDBusError as error:
        raise ScanRefused(error.dbus_error.rpartition(".")[2], error.dbus_error_details or "") from None
    except _ERRORS as error:
        raise ScanRefused("", _text(error)) from None
    try:
        yield
    finally:
        with contextlib.suppress(*_ERRORS, asyncio.TimeoutError):  # bluetoothd may be gone by now, or hang
            await asyncio.wait_for(scanner.stop(), CLOSE_S)


def _over(adapter: str) -> Dict[str, Any]:
    """How this version of bleak is told which adapter to use."""
    return {"adapter": adapter} if "_rssi" in BLEDevice.__slots__ else {"bluez": {"adapter": adapter}}


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__


class GattLink(Link):
    """A link to a device that is already connected: :meth:`open` makes it usable, once."""

    def __init__(self, found: Found, protocol: Protocol, clock: Clock, adapter: str) -> None:
        super().__init__(found.name, adapter)
        self._protocol = protocol
        self._clock = clock
        self._client = BleakClient(found.device, disconnected_callback=self._on_disconnected, timeout=_ENDLESS_S)
        self._write_to: Optional[BleakGATTCharacteristic] = None
        self._with_response = False
        self.on_closed: Callable[[bool], None] = lambda hung_up: None
        """Told once it is closed whether BlueZ confirmed that."""

    async def open(self) -> None:
        """Learn the services, switch notifications on. Raises :class:`LinkDropped`."""
        try:
            await within(self._clock, self._client.connect(), RESOLVE_S)
            notify, self._write_to = self._characteristics()
            self._with_response = "write-without-response" not in self._write_to.properties
            await within(self._clock, self._client.start_notify(notify, self._on_notification), NOTIFY_S)
        except asyncio.TimeoutError:
            raise LinkDropped(NOT_RESOLVED) from None
        except _ERRORS as error:
            text = _text(error)
            cause = PAIRING if any(word in text for word in _WANTS_PAIRING) else NOT_RESOLVED
            raise LinkDropped(cause, text) from None

    def _characteristics(self) -> Tuple[BleakGATTCharacteristic, BleakGATTCharacteristic]:
        protocol = self._protocol
        for uuids in zip(protocol.service_uuids, protocol.notify_uuids, protocol.write_uuids):
            service = self._client.services.get_service(uuids[0])
            notify = service.get_characteristic(uuids[1]) if service else None
            write = service.get_characteristic(uuids[2]) if service else None
            if notify is not None and write is not None:
                return notify, write
        raise LinkDropped(NO_SERVICE, "the device has none of the services of {}".format(protocol.label))

    def _on_notification(self, _: BleakGATTCharacteristic, data: bytearray) -> None:
        self.inbox.put(bytes(data))

    def _on_disconnected(self, _: BleakClient) -> None:
        self.inbox.fail(LinkDropped(DROPPED))

    async def write(self, data: bytes) -> None:
        """See :class:`Link`. The vendor's app writes without response; older modules know only the other kind."""
        assert self._write_to is not None
        try:
            written = self._client.write_gatt_char(self._write_to, data, response=self._with_response)
            await within(self._clock, written, WRITE_S)
        except asyncio.TimeoutError:
            raise self._lost("no answer in {:g} s".format(WRITE_S)) from None
        except _ERRORS as error:
            raise self._lost(_text(error)) from None

    def _lost(self, text: str) -> LinkDropped:
        """What a failed write means: mostly the link is gone, and the write was the first to notice."""
        if self.inbox.failure is not None:
            return self.inbox.failure
        gone = not self._client.is_connected or any(word in text for word in _SAYS_GONE)
        return LinkDropped(DROPPED if gone else WRITE_FAILED, text)

    async def close(self) -> None:
        """See :class:`Link`. Also after a drop: otherwise BlueZ keeps the subscription."""
        lost = self.inbox.failure
        bluez_gone = lost is not None and lost.cause == BLUEZ_GONE
        hung_up = False
        try:
            with contextlib.suppress(*_ERRORS, asyncio.TimeoutError):  # bluetoothd or the device may be gone already
                await within(self._clock, self._client.disconnect(), RELEASE_S if bluez_gone else CLOSE_S)
                hung_up = True
        finally:
            self.on_closed(hung_up)
