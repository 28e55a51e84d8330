"""An adapter: the Adapter1 object, discovery, and the devices below it.

Python 3.8, dbus-next.
"""

import asyncio

from dbus_next import Variant

from tests.doubles.bluez.device import Device
from tests.doubles.bluez.tree import ADAPTER, SHORT_UUID, BluezError, boolean, string, unknown_method


class Adapter:
    """hciN with a Device for every battery, whether on the bus or not."""

    advertising_interval = 0.1

    def __init__(self, bluez, index):
        self.bluez = bluez
        self.index = index
        self.tree = bluez.tree
        self.path = "/org/bluez/hci{}".format(index)
        self.plugged = True  # in the machine, also while no bluetoothd runs
        self.discovery_error = None  # (name, text) that StartDiscovery answers
        self.filter_error = None  # (name, text) that SetDiscoveryFilter answers
        self.devices = [Device(self, battery) for battery in bluez.batteries]
        self._filters = {}  # bus name -> filter
        self._sessions = {}  # bus name -> filter while it discovers
        self._scanning = None  # task

    @property
    def present(self):
        """Whether it is on the bus."""
        return self.path in self.tree

    @property
    def usable(self):
        """Whether it is on the bus and powered."""
        return bool(self.tree.get(self.path, ADAPTER, "Powered"))

    def require_power(self):
        """Raises NotReady without power."""
        if not self.usable:
            raise BluezError("NotReady", "Resource Not Ready")

    # ---- life cycle

    def appear(self, powered=True):
        """The adapter comes, with the devices that bluetoothd stored."""
        self.plugged = True
        if not self.present:
            self.tree.add(self.path, {ADAPTER: self._properties(powered)})
            for device in self.devices:
                device.reload()

    def _properties(self, powered):
        no = boolean(False)
        return {
            "Address": string("00:AA:01:00:00:{:02X}".format(self.index)),
            "AddressType": string("public"),
            "Name": string("BlueZ 5.66"),
            "Alias": string("BlueZ 5.66"),
            "Class": Variant("u", 0),
            "Powered": boolean(powered),
            "Discoverable": no,
            "DiscoverableTimeout": Variant("u", 180),
            "Pairable": no,
            "PairableTimeout": Variant("u", 0),
            "Discovering": no,
            "UUIDs": Variant("as", [SHORT_UUID.format(0x1801), SHORT_UUID.format(0x1800)]),
            "Modalias": string("usb:v1D6Bp0246d0542"),
            "Roles": Variant("as", ["central", "peripheral"]),
        }

    def disappear(self):
        """The adapter is unplugged: links drop, then every object goes."""
        self.plugged = False
        self._drop_all()
        self._end_sessions()
        self.tree.set(self.path, ADAPTER, Powered=boolean(False), Discovering=boolean(False))
        for device in self.devices:
            device.vanish()
        self.tree.remove(self.path)

    def power(self, on):
        """Links and discovery end without power."""
        if not on:
            self._drop_all()
            self._sessions.clear()
            self._discover(False)
        self.tree.set(self.path, ADAPTER, Powered=boolean(on))
        if on:
            for device in self.devices:
                device.reload()

    def _drop_all(self):
        for device in self.devices:
            device.cancel_connect()
            device.drop()

    def _end_sessions(self):
        self._sessions.clear()
        self._filters.clear()
        if self._scanning is not None:
            self._scanning.cancel()
            self._scanning = None

    def killed(self):
        """bluetoothd is gone: nothing is told, and the links go down with it."""
        self._end_sessions()
        for device in self.devices:
            device.killed()

    def client_gone(self, sender):
        """A client left the bus: its discovery and its subscriptions end."""
        self._filters.pop(sender, None)
        if self._sessions.pop(sender, None) is not None and not self._sessions:
            self._discover(False)
        for device in self.devices:
            device.gatt.client_gone(sender)

    # ---- discovery

    def _discover(self, on):
        if on and self._scanning is None:
            self._scanning = asyncio.get_event_loop().create_task(self._scan())
            self.tree.set(self.path, ADAPTER, Discovering=boolean(True))
        elif not on and self._scanning is not None:
            self._scanning.cancel()
            self._scanning = None
            for device in self.devices:
                device.discovery_ended()
            self.tree.set(self.path, ADAPTER, Discovering=boolean(False))

    async def _scan(self):
        while True:
            await asyncio.sleep(self.advertising_interval)
            await self.bluez.thawed()
            for device in self.devices:
                if device.battery.heard_by(self.index):
                    device.heard()

    # ---- calls

    def device_at(self, path):
        """The device whose object or child *path* is, or None."""
        return next((device for device in self.devices if (path + "/").startswith(device.path + "/")), None)

    def call(self, message):
        """Answer a method of Adapter1."""
        methods = {
            "SetDiscoveryFilter": self._set_discovery_filter,
            "StartDiscovery": self._start_discovery,
            "StopDiscovery": self._stop_discovery,
            "RemoveDevice": self._remove_device,
        }
        if message.member not in methods:
            raise unknown_method(message)
        methods[message.member](message)
        return "", []

    def _set_discovery_filter(self, message):
        if self.filter_error is not None:
            raise BluezError(*self.filter_error)
        self._filters[message.sender] = message.body[0]

    def _start_discovery(self, message):
        self.require_power()
        if self.discovery_error is not None:
            raise BluezError(*self.discovery_error)
        if message.sender in self._sessions:
            raise BluezError("InProgress", "Operation already in progress")
        self._sessions[message.sender] = self._filters.get(message.sender, {})
        self._discover(True)

    def _stop_discovery(self, message):
        if message.sender not in self._sessions:
            raise BluezError("Failed", "No discovery started")
        del self._sessions[message.sender]
        if not self._sessions:
            self._discover(False)

    def _remove_device(self, message):
        device = self.device_at(message.body[0])
        if device is None or message.body[0] != device.path or not device.exported:
            raise BluezError("DoesNotExist", "Does Not Exist")
        self.require_power()
        device.remove()
