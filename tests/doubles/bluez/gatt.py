"""The GATT objects of a device, its subscriptions and its notifications.

Python 3.8, dbus-next.
"""

import asyncio
import contextlib
import socket

from dbus_next import Variant

from tests.doubles.bluez.jbd_model import NOTIFY, SERVICE, WRITE
from tests.doubles.bluez.tree import (
    GATT_CHARACTERISTIC,
    GATT_DESCRIPTOR,
    GATT_SERVICE,
    SHORT_UUID,
    BluezError,
    boolean,
    string,
    unknown_method,
)

ATT_TIMEOUT_S = 30.0


class GattServer:
    """What a client finds below a device."""

    def __init__(self, device):
        self._device = device
        self._battery = device.battery
        self._tree = device.tree
        self._subscribers = set()  # bus names with StartNotify; they outlive a link
        self._pipe = None  # our end of what AcquireNotify gave away
        self._pipe_owner = None
        self._turn = asyncio.Lock()  # answers go out one after the other
        self.notify_path = device.path + "/service000e/char000f"
        self._write_path = device.path + "/service000e/char0012"

    @property
    def subscribers(self):
        """How many clients on the bus would get a notification."""
        return len(self._subscribers) + (self._pipe is not None)

    # ---- objects

    def export(self):
        """Export the services; bluetoothd keeps them while it remembers the device."""
        if self._device.path + "/service000e" in self._tree:
            for path in (self.notify_path, self._write_path):
                self._tree.set_silently(path, GATT_CHARACTERISTIC, MTU=Variant("q", self._battery.mtu))
            return
        self._add_service(0x06, SHORT_UUID.format(0x1801))
        self._add_characteristic(0x06, 0x07, SHORT_UUID.format(0x2A05), ["indicate"], Notifying=boolean(False))
        self._add_descriptor(0x06, 0x07, 0x09)
        self._add_service(0x0E, SERVICE)
        no = boolean(False)
        self._add_characteristic(0x0E, 0x0F, NOTIFY, ["read", "notify"], Notifying=no, NotifyAcquired=no)
        self._add_descriptor(0x0E, 0x0F, 0x11)
        self._add_characteristic(0x0E, 0x12, WRITE, self._battery.write_flags, WriteAcquired=no)

    def _add_service(self, handle, uuid):
        path = "{}/service{:04x}".format(self._device.path, handle)
        properties = {"UUID": string(uuid), "Device": Variant("o", self._device.path), "Primary": boolean(True)}
        self._tree.add(path, {GATT_SERVICE: dict(properties, Includes=Variant("ao", []))})

    def _add_characteristic(self, service, handle, uuid, flags, **extra):
        parent = "{}/service{:04x}".format(self._device.path, service)
        properties = {
            "UUID": string(uuid),
            "Service": Variant("o", parent),
            "Value": Variant("ay", b""),
            "Flags": Variant("as", flags),
            "MTU": Variant("q", self._battery.mtu),
        }
        self._tree.add("{}/char{:04x}".format(parent, handle), {GATT_CHARACTERISTIC: dict(properties, **extra)})

    def _add_descriptor(self, service, characteristic, handle):
        parent = "{}/service{:04x}/char{:04x}".format(self._device.path, service, characteristic)
        properties = {
            "UUID": string(SHORT_UUID.format(0x2902)),
            "Characteristic": Variant("o", parent),
            "Value": Variant("ay", b""),
        }
        self._tree.add("{}/desc{:04x}".format(parent, handle), {GATT_DESCRIPTOR: properties})

    # ---- the end of a link, a client, the objects

    def link_lost(self):
        """The pipe ends with the link, subscriptions do not, and the MTU is unknown again."""
        self._close_pipe()
        for path in (self.notify_path, self._write_path):
            self._tree.set_silently(path, GATT_CHARACTERISTIC, MTU=None)

    def forget_subscribers(self):
        """The objects are gone or bluetoothd is."""
        self._subscribers.clear()
        self._close_pipe()

    def client_gone(self, sender):
        """A client left the bus: its subscription ends, the link stays."""
        if sender == self._pipe_owner:
            self._close_pipe()
        if sender in self._subscribers:
            self._subscribers.discard(sender)
            self._tell_notifying()

    def _tell_notifying(self):
        self._tree.set(self.notify_path, GATT_CHARACTERISTIC, Notifying=boolean(self._subscribers))

    def _close_pipe(self):
        if self._pipe is not None:
            asyncio.get_event_loop().remove_reader(self._pipe)
            self._pipe.close()
            self._pipe = self._pipe_owner = None
            self._tree.set(self.notify_path, GATT_CHARACTERISTIC, NotifyAcquired=boolean(False))

    # ---- notifications

    async def send(self, answer, ready):
        """Send an answer chunk by chunk, not before *ready*; what arrived whole is remembered."""
        loop = asyncio.get_event_loop()
        try:
            async with self._turn:
                await asyncio.sleep(max(0.0, ready - loop.time()))
                for number, chunk in enumerate(answer.chunks):
                    await asyncio.sleep(self._battery.notify_delay)
                    await self._device.thawed()
                    answer.reached[number] = self._battery.takes() and self.notify(chunk)
        finally:
            self._battery.delivered += answer.whole_frames()

    def notify(self, value):
        """Send one notification; whether anybody was there to get it."""
        if self._pipe is not None:
            with contextlib.suppress(OSError):
                return self._pipe.send(value) == len(value)
            self._close_pipe()
            return False
        for _ in self._subscribers:  # bluetoothd: one signal per subscribed client, so two of them see it twice
            self._tree.set(self.notify_path, GATT_CHARACTERISTIC, Value=Variant("ay", bytes(value)))
        return bool(self._subscribers)

    # ---- calls

    async def call(self, message):
        """Answer a method of a characteristic."""
        if message.path not in (self.notify_path, self._write_path):
            raise unknown_method(message)
        if not self._device.connected:
            raise BluezError("Failed", "Not connected")
        methods = {
            "WriteValue": self._write,
            "ReadValue": self._read,
            "StartNotify": self._start_notify,
            "StopNotify": self._stop_notify,
            "AcquireNotify": self._acquire_notify,
        }
        if message.member not in methods:
            raise unknown_method(message)
        return await methods[message.member](message)

    def _require(self, message, flag):
        if flag not in self._tree.get(message.path, GATT_CHARACTERISTIC, "Flags"):
            raise BluezError("NotSupported", "Operation is not supported")

    async def _attend(self):
        """A request of the attribute protocol: without an answer bluetoothd gives the link up."""
        if self._battery.phantom:
            link = self._device.link_number
            await asyncio.sleep(ATT_TIMEOUT_S)
            if self._device.link_number == link:
                self._device.drop()
            raise BluezError("Failed", "Operation failed with ATT error: 0x0e")

    async def _write(self, message):
        kind = message.body[1].get("type", string("request")).value
        if message.path != self._write_path:
            raise BluezError("NotSupported", "Operation is not supported")
        self._require(message, "write-without-response" if kind == "command" else "write")
        if kind != "command":
            await self._attend()
        ready = asyncio.get_event_loop().time() + self._battery.late
        for answer in self._battery.answer(bytes(message.body[0])):
            self._device.spawn(self.send(answer, ready))
        return "", []

    async def _read(self, message):
        await self._attend()
        return "ay", [bytes(self._tree.get(message.path, GATT_CHARACTERISTIC, "Value"))]

    async def _start_notify(self, message):
        self._require(message, "notify")
        if self._pipe is not None:
            raise BluezError("NotPermitted", "Notify acquired")
        if message.sender in self._subscribers:
            raise BluezError("InProgress", "Already notifying")
        await self._attend()
        self._subscribers.add(message.sender)
        self._tell_notifying()
        return "", []

    async def _stop_notify(self, message):
        if message.sender not in self._subscribers:
            raise BluezError("Failed", "No notify session started")
        self._subscribers.discard(message.sender)
        if not self._subscribers:
            self._tell_notifying()
        return "", []

    async def _acquire_notify(self, message):
        self._require(message, "notify")
        if self._pipe is not None:
            raise BluezError("NotPermitted", "Notify acquired")
        await self._attend()
        self._pipe, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pipe.setblocking(False)
        self._pipe_owner = message.sender
        asyncio.get_event_loop().add_reader(self._pipe, self._close_pipe)  # clients never write to it
        self._tree.set(self.notify_path, GATT_CHARACTERISTIC, NotifyAcquired=boolean(True))
        return "hq", [0, self._battery.mtu], theirs
