"""BlueZ as it is now, asked over D-Bus beside bleak: adapters, devices, and whether bluetoothd is there at all.

bleak does not notice that bluetoothd was killed, tells no error names, and retries a connect by itself; what a
supervisor has to know exactly is asked here. Nothing is remembered: every question is answered by BlueZ.
"""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Dict, List, Mapping, Optional, Set, Tuple

from attrs import frozen
from dbus_next import Message, MessageFlag, MessageType

from adapters.dbus.address import BusUnavailable
from adapters.dbus.connection import DAEMON, BusConnection, ConnectionLost
from adapters.dbus.tree import ServiceTree

BLUEZ = "org.bluez"
ADAPTER = "org.bluez.Adapter1"
DEVICE = "org.bluez.Device1"
ASK_S = 5.0
"""How long bluetoothd may take over a plain question."""

_OWNER_CHANGED = "type='signal',sender='{0}',interface='{0}',member='NameOwnerChanged',arg0='{1}'".format(DAEMON, BLUEZ)
_GONE = ("ServiceUnknown", "NameHasNoOwner", "NoReply", "Disconnected", "Spawn")


class BluezGone(Exception):
    """bluetoothd is not on the bus."""


class BluezHangs(Exception):
    """bluetoothd does not answer."""


class BluezRefused(Exception):
    """bluetoothd answered with an error: its last name (``InProgress``) and its text."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text
        super().__init__("{}: {}".format(name, text) if text else name)


@frozen
class Adapter:
    """A Bluetooth adapter. Its name may change when another one is plugged in, its address does not."""

    path: str
    name: str
    address: str
    powered: bool
    discovering: bool

    def __str__(self) -> str:
        return "{} ({})".format(self.name, self.address)


@frozen
class Device:
    """What BlueZ knows of a device, as one adapter sees it."""

    path: str
    address: str
    address_type: str
    name: Optional[str]
    connected: bool
    services: Tuple[str, ...] = ()
    """What it advertises, and once it was connected all that it has."""
    rssi_dbm: Optional[int] = None
    """How strong it is; only while somebody scans."""


@frozen
class Snapshot:
    """Everything at one moment."""

    adapters: Tuple[Adapter, ...]
    devices: Tuple[Device, ...]

    def device(self, adapter: Adapter, address: str) -> Optional[Device]:
        """The device called *address*, as *adapter* sees it."""
        for device in self.devices:
            if device.address.upper() == address.upper() and device.path.startswith(adapter.path + "/"):
                return device
        return None

    def connected(self, address: str) -> List[Device]:
        """The device called *address*, as often as an adapter has a connection to it."""
        return [device for device in self.devices if device.connected and device.address.upper() == address.upper()]

    def adapter(self, address: str) -> Optional[Adapter]:
        """The adapter with *address*."""
        return next((adapter for adapter in self.adapters if adapter.address == address), None)


class Bluez:
    """One connection to the bus at *address*, made when it is needed and made anew when it broke."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection: Optional[BusConnection] = None
        self._opening = asyncio.Lock()
        self._listeners: Set[Callable[[], None]] = set()

    def on_gone(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call *listener* when bluetoothd leaves the bus; what is returned ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    async def snapshot(self) -> Snapshot:
        """Raises :class:`BluezGone` or :class:`BluezHangs`."""
        reply = await self._call("/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", ASK_S)
        return snapshot_of(reply.body[0])

    async def connect(self, device: str, timeout_s: float) -> None:
        """Connect the device with this path. Raises :class:`BluezRefused`, :class:`BluezGone`, :class:`BluezHangs`."""
        await self._call(device, DEVICE, "Connect", timeout_s)

    async def disconnect(self, device: str) -> None:
        """Hang up, whoever connected it; also ends a connect that is under way. Raises as :meth:`connect`."""
        await self._call(device, DEVICE, "Disconnect", ASK_S)

    async def forget(self, adapter: str, device: str) -> None:
        """Have BlueZ forget what it knows of a device, its services above all. Raises as :meth:`connect`."""
        await self._call(adapter, ADAPTER, "RemoveDevice", ASK_S, device)

    async def close(self) -> None:
        """Leave the bus."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    async def _call(self, path: str, interface: str, member: str, timeout_s: float, *objects: str) -> Message:
        message = Message(
            destination=BLUEZ,
            path=path,
            interface=interface,
            member=member,
            flags=MessageFlag.NO_AUTOSTART,
            signature="o" * len(objects),
            body=list(objects),
        )
        try:
            reply = await (await self._connected()).ask(message, timeout_s)
        except (BusUnavailable, ConnectionLost) as error:
            await self.close()
            raise BluezGone(str(error)) from None
        if reply is None:
            raise BluezHangs("no answer to {} in {:g} s".format(member, timeout_s))
        if reply.message_type is MessageType.ERROR:
            text = str(reply.body[0]) if reply.body else ""
            if any(part in _GONE for part in reply.error_name.split(".")):
                raise BluezGone(text)
            raise BluezRefused(reply.error_name.rpartition(".")[2], text)
        return reply

    async def _connected(self) -> BusConnection:
        async with self._opening:
            if self._connection is None:
                nothing = ServiceTree(lambda path, value: 1)
                self._connection = await BusConnection.open(self._address, nothing, self._on_signal)
                await self._connection.add_match(_OWNER_CHANGED)
            return self._connection

    def _on_signal(self, message: Message) -> None:
        if message.sender != DAEMON or message.member != "NameOwnerChanged":
            return
        name, former_owner, _ = message.body
        if name == BLUEZ and former_owner:  # whoever owns it now knows nothing of the links there were
            for listener in list(self._listeners):
                listener()


def snapshot_of(objects: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Snapshot:
    """What a GetManagedObjects tells that matters here."""
    adapters: List[Adapter] = []
    devices: List[Device] = []
    for path, interfaces in objects.items():
        if ADAPTER in interfaces:
            told = _plain(interfaces[ADAPTER])
            name = path.rpartition("/")[2]
            powered, discovering = bool(told.get("Powered")), bool(told.get("Discovering"))
            adapters.append(Adapter(path, name, str(told.get("Address", "")), powered, discovering))
        if DEVICE in interfaces:
            told = _plain(interfaces[DEVICE])
            known = (str(told.get("Address", "")), str(told.get("AddressType", "")), told.get("Name"))
            connected, services = bool(told.get("Connected")), tuple(told.get("UUIDs", ()))
            devices.append(Device(path, *known, connected, services, told.get("RSSI")))
    return Snapshot(tuple(sorted(adapters, key=lambda adapter: adapter.path)), tuple(devices))


def _plain(properties: Mapping[str, Any]) -> Dict[str, Any]:
    return {name: variant.value for name, variant in properties.items()}
