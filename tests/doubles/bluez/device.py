"""A battery as one adapter knows it: the Device1 object, its connects and disconnects.

Python 3.8, dbus-next.
"""

import asyncio

from dbus_next import Variant

from tests.doubles.bluez.gatt import GattServer
from tests.doubles.bluez.jbd_model import SERVICE
from tests.doubles.bluez.tree import DEVICE, SHORT_UUID, BluezError, boolean, string, unknown_method

ABORTED = "le-connection-abort-by-local"
CANCELED = "br-connection-canceled"  # bluetoothd says "br" for Bluetooth LE as well
HOLD_AGAIN_S = 0.2
FLICKER_S = 0.01


class Device:
    """One Device1. The link itself is the battery's: it has at most one, over one adapter."""

    def __init__(self, adapter, battery):
        self.adapter = adapter
        self.battery = battery
        self.tree = adapter.tree
        self.path = "{}/dev_{}".format(adapter.path, battery.address.replace(":", "_"))
        self.gatt = GattServer(self)
        self._base_rssi = self._rssi = -50 - battery.index
        self.link_number = 0  # counts the links it had
        self._known = False  # stored below /var/lib/bluetooth since a first connection
        self._pending = None  # future of a running Connect; a result cancels it
        self._removal = None  # timer that forgets a temporary device
        self._tasks = set()  # of the link
        self._timers = []  # of the link

    @property
    def connected(self):
        """Whether this adapter has the link."""
        return self.battery.linked_by is self

    @property
    def pending(self):
        """Whether a Connect is under way."""
        return self._pending is not None

    @property
    def exported(self):
        """Whether there is an object on the bus."""
        return self.path in self.tree

    async def thawed(self):
        """Wait while bluetoothd is frozen."""
        await self.adapter.bluez.thawed()

    def spawn(self, coroutine):
        """Run something that ends with the link."""
        task = asyncio.get_event_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _later(self, seconds, action):
        self._timers.append(asyncio.get_event_loop().call_later(seconds, action))

    def _set(self, **properties):
        self.tree.set(self.path, DEVICE, **{name: boolean(value) for name, value in properties.items()})

    # ---- the object

    def export(self, with_rssi=True):
        """Put the object on the bus if it is not there."""
        if not self.exported:
            self.tree.add(self.path, {DEVICE: self._properties(with_rssi)})
            self._arm_removal()

    def reload(self):
        """What bluetoothd stored comes back with the adapter."""
        if self._known:
            self.export(with_rssi=False)
        if self.battery.held_by is self:
            asyncio.get_event_loop().call_later(HOLD_AGAIN_S, self._hold_again)

    def _properties(self, with_rssi):
        battery, no = self.battery, boolean(False)
        properties = {
            "Address": string(battery.address),
            "AddressType": string(battery.address_type),
            "Name": string(battery.bms.name),
            "Alias": string(battery.bms.name),
            "Adapter": Variant("o", self.adapter.path),
            "UUIDs": Variant("as", [SERVICE]),
        }
        flags = ("Paired", "Bonded", "Trusted", "Blocked", "LegacyPairing", "Connected", "ServicesResolved")
        properties.update({flag: no for flag in flags})
        if with_rssi:
            properties["RSSI"] = Variant("n", self._rssi)
        return properties

    def heard(self):
        """An advertisement while the adapter discovers."""
        if not self.exported:
            self.export()
            return
        self._rssi = self._base_rssi + (1 if self._rssi == self._base_rssi else 0)
        self.tree.set(self.path, DEVICE, RSSI=Variant("n", self._rssi))
        self._arm_removal()

    def discovery_ended(self):
        """The signal strength is known only while discovering."""
        self.tree.invalidate(self.path, DEVICE, "RSSI")

    def _arm_removal(self):
        self._disarm_removal()
        loop = asyncio.get_event_loop()
        self._removal = loop.call_later(self.adapter.bluez.temporary_timeout, self._expire)

    def _disarm_removal(self):
        if self._removal is not None:
            self._removal.cancel()
            self._removal = None

    def _expire(self):
        if not self.connected:
            self.remove()

    def remove(self):
        """Adapter1.RemoveDevice: hang up, then forget."""
        self._known = False
        if self.connected:
            self._set(ServicesResolved=False)
            self.link_down()
            self._set(Connected=False)
        self.vanish()

    def killed(self):
        """bluetoothd is gone, and the link with it: no signal."""
        self.link_down()
        self.gatt.forget_subscribers()
        self._disarm_removal()

    def vanish(self):
        """The objects go, whatever the link does; alone it was never seen of a real bluetoothd."""
        self.killed()
        self.tree.remove(self.path)

    # ---- calls

    async def call(self, message):
        """Answer a method of Device1."""
        if message.member == "Connect":
            await self.connect()
        elif message.member == "Disconnect":
            await self.disconnect()
        elif message.member == "Pair":
            raise BluezError("AuthenticationFailed", "Authentication Failed")
        else:
            raise unknown_method(message)
        return "", []

    async def connect(self):
        """Answered before the services are resolved; a device with a link is answered at once."""
        self.adapter.require_power()
        if self.connected:
            return
        if self.pending:
            raise BluezError("Failed", "Operation already in progress")
        self._pending = asyncio.get_event_loop().create_future()
        try:
            await self._reach()
        finally:
            self._pending = None
        if not self.exported:
            raise BluezError("DoesNotExist", "Does Not Exist")
        self._link_up()
        if self.battery.connected_late:
            self._later(self.battery.connected_late, lambda: self._set(Connected=True))
        else:
            self._set(Connected=True)
        self.spawn(self._resolve())

    async def _reach(self):
        """The kernel waits for an advertisement of the battery."""
        battery, loop = self.battery, asyncio.get_event_loop()
        deadline = loop.time() + battery.connect_timeout
        await self._wait(battery.connect_delay)
        error = battery.take_connect_error()
        if error is not None:
            self._flicker()
            raise BluezError(*error)
        while not battery.heard_by(self.adapter.index):
            if loop.time() >= deadline:
                raise BluezError("Failed", ABORTED)
            await self._wait(min(self.adapter.advertising_interval, deadline - loop.time()))

    def _flicker(self):
        """A link that came and went before it could be used."""
        if self.battery.flicker:
            self._set(Connected=True)
        if self.battery.flicker == 1:
            asyncio.get_event_loop().call_later(FLICKER_S, lambda: self._set(Connected=self.connected))
        elif self.battery.flicker:
            self._set(Connected=False)

    async def _wait(self, seconds):
        await asyncio.wait({self._pending}, timeout=max(0.0, seconds))
        if self._pending.done():
            raise BluezError("Failed", self._pending.result())

    def cancel_connect(self, text=ABORTED):
        """A running Connect fails with *text*."""
        if self._pending is not None and not self._pending.done():
            self._pending.set_result(text)

    async def disconnect(self):
        """Cancels a running Connect; without a link it just succeeds."""
        self.cancel_connect(CANCELED)
        if not self.connected:
            return
        await asyncio.sleep(self.battery.disconnect_delay)  # bluetoothd: 2 s
        if self.connected:
            self._set(ServicesResolved=False)
            self.link_down()
            asyncio.get_event_loop().call_soon(lambda: self._set(Connected=False))

    # ---- the link

    def _link_up(self):
        """The link is there; nothing is told yet."""
        battery = self.battery
        battery.linked_by = self
        battery.bms.reset()
        self._known = True
        self.link_number += 1
        self.adapter.bluez.count_links()
        if battery.beat is not None:
            self._later(battery.beat, self.drop)

    async def _resolve(self):
        await asyncio.sleep(self.battery.discover_delay)
        if self.battery.resolves and not self.battery.phantom:
            self._resolved()

    def _resolved(self):
        self.gatt.export()
        uuids = [SHORT_UUID.format(0x1800), SHORT_UUID.format(0x1801), SERVICE]
        self.tree.set(self.path, DEVICE, UUIDs=Variant("as", uuids), ServicesResolved=boolean(True))

    def link_down(self):
        """Whatever ran on the link ends; no signal."""
        self.cancel_connect()
        if not self.connected:
            return
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self.battery.linked_by = None
        self.gatt.link_lost()
        self._arm_removal()
        if self.battery.held_by is self:
            asyncio.get_event_loop().call_later(HOLD_AGAIN_S, self._hold_again)

    def drop(self):
        """The battery goes out of reach or hangs up, and what bluetoothd 5.66 then signals.

        The StartNotify subscriptions of D-Bus clients that stay on the bus survive and are renewed at the next
        connection, as with bluetoothd: a bleak 3.1 client that got its disconnected callback but whose disconnect()
        was never awaited keeps its bus open and so doubles every later notification.
        """
        if self.connected:
            self.link_down()
            self._set(ServicesResolved=False, Connected=False)

    # ---- other programs

    def take(self):
        """The link of a process that is gone, or of another client: up, resolved, exported."""
        if not self.adapter.present or not self.battery.heard_by(self.adapter.index):
            return
        self.export(with_rssi=False)
        self._link_up()
        self._set(Connected=True)
        self._resolved()

    def hold(self, on):
        """Another client takes the link and takes it again whenever it goes, or lets go."""
        self.battery.held_by = self if on else None
        if on:
            self._hold_again()
        elif self.connected:
            self._set(ServicesResolved=False)
            self.link_down()
            self._set(Connected=False)

    def _hold_again(self):
        if self.battery.held_by is self and not self.connected and self.adapter.usable:
            self.take()
            if not self.connected:  # somebody else was quicker, or it does not advertise
                asyncio.get_event_loop().call_later(HOLD_AGAIN_S, self._hold_again)
