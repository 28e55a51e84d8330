#!/usr/bin/env python3
"""A fake org.bluez (5.66-shaped) with JBD batteries, for unmodified bleak on a private 'system' bus.

Order and content of replies and signals follow a D-Bus trace of a real bluetoothd 5.66, and its source where there is
no trace. Runs in-process (FakeBluez) or as a program that is steered over TCP, one line per verb:

  fake_bluez.py --bus ADDRESS --count 4 --adapters 2 --control 127.0.0.1:7654 --ready FILE

control.py has the verbs; `quit` ends the program. Batteries are A4:C1:38:00:00:00, :01 ..., adapters hci0, hci1 ...
with 00:AA:01:00:00:00, :01 ... Every adapter that scans hears every battery; a battery has one link at most, over the
adapter that connected it, and does not advertise meanwhile.

Python 3.8, dbus-next.
"""

import argparse
import asyncio
import inspect
import logging
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from dbus_next import Message, MessageType, RequestNameReply  # noqa: E402
from dbus_next.aio import MessageBus  # noqa: E402

from tests.doubles.bluez.adapter import Adapter  # noqa: E402
from tests.doubles.bluez.battery import Battery  # noqa: E402
from tests.doubles.bluez.control import Control  # noqa: E402
from tests.doubles.bluez.tree import (  # noqa: E402
    ADAPTER,
    DEVICE,
    GATT_CHARACTERISTIC,
    OBJECT_MANAGER,
    PROPERTIES,
    BluezError,
    ObjectTree,
    unknown_method,
    unknown_object,
)

log = logging.getLogger("fake_bluez")


class FakeBluez:
    """bluetoothd, its adapters and the batteries around them."""

    def __init__(self, count=1, address=None, adapters=1):
        self.address = address or os.environ["DBUS_SYSTEM_BUS_ADDRESS"]
        self.temporary_timeout = 30.0  # TemporaryTimeout of main.conf
        self.tree = ObjectTree(self._signal)
        self.batteries = [Battery(index) for index in range(count)]
        self.adapters = [Adapter(self, index) for index in range(adapters)]
        self.stats = {"calls": {}, "max_connected": 0}
        self._control = Control(self)
        self._bus = None
        self._thaw = None  # event while frozen
        self._waiting_calls = []
        self._waiting_signals = []
        self._handling = set()

    # ---- life cycle

    async def start(self):
        """bluetoothd starts: the name, the adapters that are plugged in, the devices it had stored."""
        self._bus = await MessageBus(bus_address=self.address, negotiate_unix_fd=True).connect()
        self._bus.add_message_handler(self._on_message)
        reply = await self._bus.request_name("org.bluez")
        assert reply == RequestNameReply.PRIMARY_OWNER, reply
        await self._watch_clients()
        self.tree.add("/org/bluez", {"org.bluez.AgentManager1": {}, "org.bluez.ProfileManager1": {}})
        for adapter in self.adapters:
            if adapter.plugged:
                adapter.appear()
        return self

    async def _watch_clients(self):
        rule = "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'"
        await self._bus.call(
            Message(
                destination="org.freedesktop.DBus",
                path="/org/freedesktop/DBus",
                interface="org.freedesktop.DBus",
                member="AddMatch",
                signature="s",
                body=[rule],
            )
        )

    async def stop(self):
        """bluetoothd is killed: the name goes, nothing is told; the links in the kernel go down with it."""
        bus, self._bus = self._bus, None
        for adapter in self.adapters:
            adapter.killed()
        for task in self._handling - {asyncio.current_task()}:
            task.cancel()
        self.tree.clear()
        self._waiting_calls.clear()
        self._waiting_signals.clear()
        self.freeze(False)
        if bus is not None:
            await asyncio.sleep(0.001)  # what was sent before goes out
            bus.disconnect()

    # ---- what a test does; the batteries' faults are attributes of Battery

    def device(self, battery, adapter_index=0):
        """A battery as one adapter knows it."""
        return self.adapters[adapter_index].devices[battery.index]

    def drop(self, battery):
        """The battery's link drops, whichever adapter has it."""
        if battery.linked_by is not None:
            battery.linked_by.drop()

    def notify(self, battery, value):
        """The battery sends a notification out of turn."""
        if battery.linked_by is not None:
            battery.linked_by.gatt.notify(value)

    def freeze(self, on):
        """As SIGSTOP and SIGCONT of bluetoothd; calls and signals wait, in their order."""
        if on and self._thaw is None:
            self._thaw = asyncio.Event()
        elif not on and self._thaw is not None:
            self._thaw.set()
            self._thaw = None
            signals, self._waiting_signals = self._waiting_signals, []
            for signal in signals:
                self._signal(*signal)
            messages, self._waiting_calls = self._waiting_calls, []
            for message in messages:
                self._on_message(message)

    async def thawed(self):
        """Wait while frozen."""
        while self._thaw is not None:
            await self._thaw.wait()

    def count_links(self):
        """Remember the most links at once."""
        links = sum(battery.linked_by is not None for battery in self.batteries)
        self.stats["max_connected"] = max(self.stats["max_connected"], links)

    def state(self, battery):
        """Who has the battery, which adapters are connecting, how many subscriptions there are."""
        devices = [adapter.devices[battery.index] for adapter in self.adapters]
        return {
            "adapter": battery.linked_by.adapter.index if battery.linked_by else None,
            "connecting": [device.adapter.index for device in devices if device.pending],
            "subscribers": sum(device.gatt.subscribers for device in devices),
        }

    async def command(self, line):
        """Run one verb of control.py; its answer."""
        return await self._control.run(line)

    # ---- the bus

    def _signal(self, path, interface, member, signature, body):
        if self._thaw is not None:
            self._waiting_signals.append((path, interface, member, signature, body))
        elif self._bus is not None:
            self._bus.send(Message.new_signal(path, interface, member, signature, body))

    def _on_message(self, message):
        """Take what is for us; True keeps dbus-next from answering itself."""
        is_call = message.message_type == MessageType.METHOD_CALL
        if not is_call and message.message_type != MessageType.SIGNAL:
            return None
        if self._thaw is not None:
            self._waiting_calls.append(message)
        elif is_call:
            self._count_call(message)
            task = asyncio.get_event_loop().create_task(self._handle(message))
            self._handling.add(task)
            task.add_done_callback(self._handling.discard)
        elif message.member == "NameOwnerChanged" and message.body[0].startswith(":") and not message.body[2]:
            for adapter in self.adapters:
                adapter.client_gone(message.body[0])
        return True if is_call else None

    def _count_call(self, message):
        name = "{}.{}".format((message.interface or "").split(".")[-1], message.member)
        self.stats["calls"][name] = self.stats["calls"].get(name, 0) + 1

    async def _handle(self, message):
        passed = None  # a socket that the answer gives away
        try:
            answer = self._call(message)
            if inspect.isawaitable(answer):
                answer = await answer
            signature, body, *rest = answer
            passed = rest[0] if rest else None
            reply = Message.new_method_return(message, signature, body, [passed.fileno()] if passed else [])
        except BluezError as error:
            reply = Message.new_error(message, error.name, error.text)
        except Exception as error:
            log.exception("in %s", message.member)
            reply = Message.new_error(message, "org.bluez.Error.Failed", repr(error))
        await self.thawed()
        if self._bus is not None:
            sent = self._bus.send(reply)
            if passed and sent is not None:
                await sent
        if passed:
            passed.close()

    def _call(self, message):
        if message.interface == "org.freedesktop.DBus.Peer":
            return "", []
        if message.path == "/" and message.interface == OBJECT_MANAGER and message.member == "GetManagedObjects":
            return self.tree.managed()
        if message.path not in self.tree:
            raise unknown_object(message)
        adapter = next((one for one in self.adapters if (message.path + "/").startswith(one.path + "/")), None)
        device = adapter.device_at(message.path) if adapter else None
        if message.interface == PROPERTIES:
            return self._set_property(message, adapter) if message.member == "Set" else self.tree.read(message)
        if adapter and message.interface == ADAPTER and message.path == adapter.path:
            return adapter.call(message)
        if device and message.interface == DEVICE and message.path == device.path:
            return device.call(message)
        if device and message.interface == GATT_CHARACTERISTIC:
            return device.gatt.call(message)
        raise unknown_method(message)

    def _set_property(self, message, adapter):
        interface, name, value = message.body
        if interface == ADAPTER and name == "Powered":
            adapter.power(value.value)
        else:
            self.tree.set(message.path, interface, **{name: value})
        return "", []


class ControlServer:
    """Takes verbs over TCP."""

    def __init__(self, fake):
        self._fake = fake
        self.ended = asyncio.Event()

    async def serve(self, reader, writer):
        """One client."""
        while True:
            line = (await reader.readline()).decode().strip()
            if not line or line == "quit":
                break
            try:
                answer = await self._fake.command(line)
            except Exception as error:
                answer = "error {!r}".format(error)
            writer.write((answer + "\n").encode())
            await writer.drain()
        if line == "quit":
            self.ended.set()
        writer.close()


def _options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bus", default=os.environ.get("DBUS_SYSTEM_BUS_ADDRESS"))
    parser.add_argument("--count", type=int, default=1, help="batteries")
    parser.add_argument("--adapters", type=int, default=1)
    parser.add_argument("--control", default="127.0.0.1:7654")
    parser.add_argument("--ready", help="a file that is made when all is up")
    parser.add_argument("--temporary-timeout", type=float, default=30)
    return parser.parse_args()


async def main():
    """Run until `quit`."""
    options = _options()
    logging.basicConfig(level=logging.INFO)
    fake = FakeBluez(options.count, options.bus, options.adapters)
    fake.temporary_timeout = options.temporary_timeout
    await fake.start()
    control = ControlServer(fake)
    host, port = options.control.rsplit(":", 1)
    await asyncio.start_server(control.serve, host, int(port))
    if options.ready:
        Path(options.ready).touch()
    await control.ended.wait()


if __name__ == "__main__":
    asyncio.run(main())
