"""JBD batteries for a real bluetoothd: bumble plays the controllers of the kernel and of the batteries."""

import asyncio
import contextlib

from bumble import hci
from bumble.controller import Controller
from bumble.core import UUID, AdvertisingData, PhysicalTransport
from bumble.device import Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.hci import Address
from bumble.link import LocalLink
from bumble.transport import open_transport
from bumble.transport.common import Transport

from tests.doubles.bluez.jbd_model import NOTIFY, SERVICE, WRITE, JbdBms


class Link(LocalLink):
    """bumble 0.0.236 stamps data with the sender's random address, also on a link of public ones: nobody hears it."""

    def send_acl_data(self, sender_controller, destination_address, transport, data):
        if transport != PhysicalTransport.LE:
            super().send_acl_data(sender_controller, destination_address, transport, data)
            return
        destination = self.find_le_controller(destination_address)
        connections = sender_controller.le_connections.values()
        own = [each.self_address for each in connections if each.peer_address == destination_address]
        if destination is not None:
            source = own[0] if own else sender_controller.random_address
            asyncio.get_running_loop().call_soon(destination.on_link_acl_data, source, transport, data)


class Battery:
    """One advertising battery. ``bms`` is its board: ``bms.silent`` and ``bms.corrupt`` make it misbehave."""

    def __init__(self, index, link):
        self.address = "A4:C1:38:00:00:{:02X}".format(index)
        self.bms = JbdBms(name="JBD-SP04S-{}".format(index))
        self._connection = None
        self._is_here = True
        self._sending = set()
        public = Address(self.address, Address.PUBLIC_DEVICE_ADDRESS)
        controller = Controller(self.bms.name, link=link, public_address=public)
        transport = Transport(controller, controller)
        configuration = DeviceConfiguration(
            name=self.bms.name, address=public, advertising_interval_min=100, advertising_interval_max=100
        )
        self._device = Device.from_config_with_hci(configuration, transport.source, transport.sink)
        properties = Characteristic.Properties
        self._notify = Characteristic(
            UUID(NOTIFY), properties.READ | properties.NOTIFY, Characteristic.READABLE, b""
        )  # fmt: skip
        write = Characteristic(
            UUID(WRITE),
            properties.READ | properties.WRITE_WITHOUT_RESPONSE | properties.WRITE,
            Characteristic.WRITEABLE,
            CharacteristicValue(write=self._on_write),
        )
        self._device.add_service(Service(UUID(SERVICE), [self._notify, write]))
        fields = [
            (AdvertisingData.FLAGS, b"\x06"),
            (AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, b"\x00\xff"),
            (AdvertisingData.COMPLETE_LOCAL_NAME, self.bms.name.encode()),
        ]
        self._device.advertising_data = bytes(AdvertisingData(fields))
        self._device.on("connection", self._on_connection)

    @property
    def is_connected(self):
        return self._connection is not None

    async def start(self):
        await self._device.power_on()
        await self._advertise()

    async def kill(self):
        """Out of reach: the link drops, and nothing is heard of it any more."""
        self._is_here = False
        if self._connection is not None:
            await self._connection.disconnect()
        elif self._device.is_advertising:
            await self._device.stop_advertising()

    async def revive(self):
        self._is_here = True
        await self._advertise()

    async def _advertise(self):
        if self._is_here:
            await self._device.start_advertising(own_address_type=hci.OwnAddressType.PUBLIC, auto_restart=False)

    def _on_connection(self, connection):
        self._connection = connection
        connection.on("disconnection", self._on_disconnection)

    def _on_disconnection(self, _):
        self._connection = None
        self._soon(self._advertise())

    def _on_write(self, connection, value):
        self._soon(self._send(connection, self.bms.handle(bytes(value))))

    async def _send(self, connection, chunks):
        for chunk in chunks:
            await self._device.notify_subscriber(connection, self._notify, chunk)

    def _soon(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)


@contextlib.asynccontextmanager
async def batteries(count):
    """Give the kernel an adapter, and put *count* batteries within its reach."""
    link = Link()
    async with await open_transport("vhci") as kernel:
        adapter = Address("00:AA:01:00:00:00", Address.PUBLIC_DEVICE_ADDRESS)
        controller = Controller(
            "adapter", host_source=kernel.source, host_sink=kernel.sink, link=link, public_address=adapter
        )
        # With these the kernel expects another answer to a connect than bumble gives (bumble issue 841).
        controller.le_features &= ~(hci.LeFeatureMask.LL_PRIVACY | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING)
        made = [Battery(index, link) for index in range(count)]
        for battery in made:
            await battery.start()
        yield made
