#!/usr/bin/env python3
"""A fake org.bluez (5.66-shaped) with JBD batteries, for unmodified bleak on a private 'system' bus.

Order and content of replies and signals follow a D-Bus trace of real bluetoothd 5.66 (rig B, trace.sh).
Runs in-process (FakeBluez) or as a program with a TCP line control:
  fake_bluez.py --bus ADDRESS --count 4 --control 127.0.0.1:7654 --ready FILE
Control: drop I | adv I on|off | silent I 0|1 | corrupt I 0|1 | set I ATTR JSON | requests I | connect_error I NAME TEXT|-
  connect_delay|discover_delay|disconnect_delay|notify_delay|connected_late I S | remove_device I | vanish I | remove_adapter | add_adapter | power on|off
  crash (lose name, forget everything, no signals) | start (take the name again) | notify I HEX | stats | quit
Python 3.8+, needs dbus-next or dbus-fast.
"""
import argparse, asyncio, json, logging, os, socket, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
try:
    from dbus_next import BusType, Message, MessageType, Variant, RequestNameReply
    from dbus_next.aio import MessageBus
except ImportError:
    from dbus_fast import BusType, Message, MessageType, Variant, RequestNameReply
    from dbus_fast.aio import MessageBus
from jbd_model import SERVICE, NOTIFY, WRITE, JbdBms

log = logging.getLogger("fake_bluez")
PROPS, OM, INTRO = "org.freedesktop.DBus.Properties", "org.freedesktop.DBus.ObjectManager", "org.freedesktop.DBus.Introspectable"
ADAPTER, DEVICE = "org.bluez.Adapter1", "org.bluez.Device1"
GSVC, GCHR, GDSC = "org.bluez.GattService1", "org.bluez.GattCharacteristic1", "org.bluez.GattDescriptor1"
BASE = "0000%04x-0000-1000-8000-00805f9b34fb"


class Err(Exception):
    def __init__(self, name, text):
        self.name, self.text = (name if "." in name else "org.bluez.Error." + name), text


class Battery:
    def __init__(self, i, name=None, address=None):
        self.i = i
        self.bms = JbdBms(name=name or "JBD-SP04S-%d" % i)
        self.address = self.bms.address = address or "A4:C1:38:00:00:%02X" % i
        self.rssi = -50 - i
        self.advertise = True
        self.connect_delay, self.discover_delay, self.disconnect_delay, self.notify_delay = 0.05, 0.05, 0.05, 0.005
        self.connected_late = 0.0      # s: answer Connect first, signal Connected=true later (seen from real 5.66, see REPORT)
        self.connect_error = None      # (name, text), e.g. ("Failed", "le-connection-abort-by-local")
        self.mtu = 517
        self.write_flags = ["read", "write-without-response", "write"]
        # runtime
        self.connected = False
        self.pending = None            # task of a running Connect
        self.notifiers = set()         # senders with StartNotify
        self.sock = None               # AcquireNotify end
        self.known = False             # stored in /var/lib/bluetooth after a first connection
        self.removal = None            # TimerHandle of the temporary-device removal
        self.link_tasks = set()


class FakeBluez:
    TEMPORARY_TIMEOUT = 30.0           # main.conf TemporaryTimeout
    adv_interval = 0.1

    def __init__(self, count=1, address=None, adapter="hci0"):
        self.address = address or os.environ["DBUS_SYSTEM_BUS_ADDRESS"]
        self.ad = "/org/bluez/" + adapter
        self.batteries = [Battery(i) for i in range(count)]
        self.objs = {}                 # path -> iface -> prop -> Variant
        self.sessions = {}             # sender -> filter (Adapter discovery)
        self.filters = {}
        self.scan_task = None
        self.stats = {"calls": {}, "max_connected": 0}
        self.bus = None

    # ---- life cycle
    async def start(self, powered=True):
        self.bus = await MessageBus(bus_address=self.address, negotiate_unix_fd=True).connect()
        self.bus.add_message_handler(self._on_message)
        r = await self.bus.request_name("org.bluez")
        assert r == RequestNameReply.PRIMARY_OWNER, r
        await self.bus.call(Message(destination="org.freedesktop.DBus", path="/org/freedesktop/DBus",
            interface="org.freedesktop.DBus", member="AddMatch", signature="s",
            body=["type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'"]))
        self.objs["/org/bluez"] = {"org.bluez.AgentManager1": {}, "org.bluez.ProfileManager1": {}}
        self.add_adapter(powered)
        return self

    async def stop(self):
        """Like SIGKILL on bluetoothd: the name goes, no signals; kernel links go down with it."""
        for b in self.batteries:
            self._link_reset(b)
            b.notifiers.clear()
        if self.scan_task:
            self.scan_task.cancel()
            self.scan_task = None
        self.objs.clear(), self.sessions.clear(), self.filters.clear()
        if self.bus:
            self.bus.disconnect()
            self.bus = None

    def add_adapter(self, powered=True):
        s, b = (lambda x: Variant("s", x)), (lambda x: Variant("b", x))
        self._add(self.ad, {ADAPTER: {
            "Address": s("00:AA:01:00:00:00"), "AddressType": s("public"), "Name": s("BlueZ 5.66"), "Alias": s("BlueZ 5.66"),
            "Class": Variant("u", 0), "Powered": b(powered), "Discoverable": b(False), "DiscoverableTimeout": Variant("u", 180),
            "Pairable": b(False), "PairableTimeout": Variant("u", 0), "Discovering": b(False),
            "UUIDs": Variant("as", [BASE % 0x1801, BASE % 0x1800]), "Modalias": s("usb:v1D6Bp0246d0542"),
            "Roles": Variant("as", ["central", "peripheral"])}})
        for b in self.batteries:                 # bluetoothd reloads devices it has stored in /var/lib/bluetooth
            if b.known:
                props = self._device_props(b)
                del props["RSSI"]
                self._add(self.path(b), {DEVICE: props})
                self._arm_removal(b)

    def remove_adapter(self):
        for b in self.batteries:
            self.drop(b)
        self.sessions.clear()
        if self.scan_task:
            self.scan_task.cancel()
            self.scan_task = None
        self._set(self.ad, ADAPTER, Powered=Variant("b", False), Discovering=Variant("b", False))
        for b in self.batteries:
            self._remove_objects(b)
        self._remove(self.ad)

    def power(self, on):
        if not on:
            for b in self.batteries:
                if b.connected:
                    self.drop(b)
            self.sessions.clear()
            self._discovering(False)
        self._set(self.ad, ADAPTER, Powered=Variant("b", on))

    # ---- object tree and signals
    def _send(self, path, iface, member, sig, body):
        if self.bus:
            self.bus.send(Message.new_signal(path, iface, member, sig, body))

    def _add(self, path, ifaces):
        self.objs[path] = ifaces
        self._send("/", OM, "InterfacesAdded", "oa{sa{sv}}", [path, dict({INTRO: {}, PROPS: {}}, **ifaces)])

    def _remove(self, path):
        ifaces = self.objs.pop(path, None)
        if ifaces is not None:
            self._send("/", OM, "InterfacesRemoved", "oas", [path, [PROPS, INTRO] + list(ifaces)])

    def _set(self, path, iface, _invalidate=(), **props):
        o = self.objs.get(path, {}).get(iface)
        if o is None:
            return
        o.update(props)
        for k in _invalidate:
            o.pop(k, None)
        self._send(path, PROPS, "PropertiesChanged", "sa{sv}as", [iface, props, list(_invalidate)])

    # ---- devices
    def path(self, b):
        return "%s/dev_%s" % (self.ad, b.address.replace(":", "_"))

    def chr_path(self, b, which):
        return self.path(b) + {"notify": "/service000e/char000f", "write": "/service000e/char0012"}[which]

    def _device_props(self, b):
        s, f = (lambda x: Variant("s", x)), Variant("b", False)
        return {"Address": s(b.address), "AddressType": s("public"), "Name": s(b.bms.name), "Alias": s(b.bms.name),
                "Paired": f, "Bonded": f, "Trusted": f, "Blocked": f, "LegacyPairing": f, "RSSI": Variant("n", b.rssi),
                "Connected": f, "UUIDs": Variant("as", [SERVICE]), "Adapter": Variant("o", self.ad), "ServicesResolved": f}

    def _seen(self, b):
        """One advertisement of b heard while discovering."""
        p = self.path(b)
        if p not in self.objs:
            self._add(p, {DEVICE: self._device_props(b)})
            self._arm_removal(b)
        else:
            b.rssi = -50 - b.i + (1 if b.rssi == -50 - b.i else 0)
            self._set(p, DEVICE, RSSI=Variant("n", b.rssi))
            self._arm_removal(b)

    def _arm_removal(self, b):
        if b.removal:
            b.removal.cancel()
        b.removal = asyncio.get_event_loop().call_later(self.TEMPORARY_TIMEOUT, lambda: b.connected or self.remove_device(b))

    def remove_device(self, b):
        """Adapter1.RemoveDevice, bluetoothctl remove: hang up, then forget."""
        b.known = False
        if b.connected:
            self._set(self.path(b), DEVICE, ServicesResolved=Variant("b", False))
            self._link_reset(b)
            self._set(self.path(b), DEVICE, Connected=Variant("b", False))
        self._remove_objects(b)

    def _remove_objects(self, b):
        b.notifiers.clear()
        if b.removal:
            b.removal.cancel()
            b.removal = None
        p = self.path(b)
        for q in sorted((q for q in self.objs if q.startswith(p + "/")), reverse=True):
            self._remove(q)
        self._remove(p)

    async def _scan(self):
        while True:
            await asyncio.sleep(self.adv_interval)
            for b in self.batteries:
                if b.advertise and not b.connected:
                    self._seen(b)

    def _discovering(self, on):
        if on and not self.scan_task:
            self.scan_task = asyncio.get_event_loop().create_task(self._scan())
            self._set(self.ad, ADAPTER, Discovering=Variant("b", True))
        elif not on and self.scan_task:
            self.scan_task.cancel()
            self.scan_task = None
            for b in self.batteries:
                if "RSSI" in self.objs.get(self.path(b), {}).get(DEVICE, {}):
                    self._set(self.path(b), DEVICE, ["RSSI"])
            self._set(self.ad, ADAPTER, Discovering=Variant("b", False))

    def _export_gatt(self, b):
        d = self.path(b)
        if d + "/service000e" in self.objs:      # BlueZ keeps them while it remembers the device
            for w in ("notify", "write"):
                self.objs[self.chr_path(b, w)][GCHR]["MTU"] = Variant("q", b.mtu)
            return

        def svc(h, uuid):
            self._add("%s/service%04x" % (d, h), {GSVC: {"UUID": Variant("s", uuid), "Device": Variant("o", d),
                      "Primary": Variant("b", True), "Includes": Variant("ao", [])}})

        def chr_(sh, h, uuid, flags, **extra):
            p = "%s/service%04x" % (d, sh)
            self._add("%s/char%04x" % (p, h), {GCHR: dict({"UUID": Variant("s", uuid), "Service": Variant("o", p),
                      "Value": Variant("ay", b""), "Flags": Variant("as", flags), "MTU": Variant("q", b.mtu)}, **extra)})

        def dsc(sh, ch, h):
            c = "%s/service%04x/char%04x" % (d, sh, ch)
            self._add("%s/desc%04x" % (c, h), {GDSC: {"UUID": Variant("s", BASE % 0x2902), "Characteristic": Variant("o", c),
                      "Value": Variant("ay", b"")}})
        no = Variant("b", False)
        svc(6, BASE % 0x1801)
        chr_(6, 7, BASE % 0x2a05, ["indicate"], Notifying=no)
        dsc(6, 7, 9)
        svc(0xe, SERVICE)
        chr_(0xe, 0xf, NOTIFY, ["read", "notify"], Notifying=no, NotifyAcquired=no)
        dsc(0xe, 0xf, 0x11)
        chr_(0xe, 0x12, WRITE, b.write_flags, WriteAcquired=no)

    def _spawn(self, b, coro):
        t = asyncio.get_event_loop().create_task(coro)
        b.link_tasks.add(t)
        t.add_done_callback(b.link_tasks.discard)
        return t

    async def _connect(self, b):
        d = self.path(b)
        if not self.objs[self.ad][ADAPTER]["Powered"].value:
            raise Err("NotReady", "Resource Not Ready")
        if b.pending:
            raise Err("InProgress", "In Progress")
        if b.connected:
            raise Err("AlreadyConnected", "Already Connected")
        b.pending = asyncio.get_event_loop().create_future()
        try:
            # the kernel waits for an advertisement of the peer; bluetoothd gives up after ~20-40 s
            await asyncio.wait({b.pending}, timeout=b.connect_delay if b.advertise else 40)
            if b.pending.done():
                raise Err("Failed", "le-connection-abort-by-local")
            if not b.advertise:
                raise Err("Failed", "le-connection-abort-by-local")
            if b.connect_error:
                raise Err(*b.connect_error)
        finally:
            b.pending = None
        if d not in self.objs:
            raise Err("DoesNotExist", "Does Not Exist")
        b.connected = b.known = True
        b.bms.reset()
        self.stats["max_connected"] = max(self.stats["max_connected"], sum(x.connected for x in self.batteries))
        if b.connected_late:
            asyncio.get_event_loop().call_later(b.connected_late, lambda: b.connected and self._set(d, DEVICE, Connected=Variant("b", True)))
        else:
            self._set(d, DEVICE, Connected=Variant("b", True))
        self._spawn(b, self._discover(b))        # real bluetoothd answers Connect before the services are resolved

    async def _discover(self, b):
        await asyncio.sleep(b.discover_delay)
        self._export_gatt(b)
        self._set(self.path(b), DEVICE, UUIDs=Variant("as", [BASE % 0x1800, BASE % 0x1801, SERVICE]), ServicesResolved=Variant("b", True))

    def _link_reset(self, b):
        me = asyncio.current_task() if asyncio.get_event_loop().is_running() else None
        for t in list(b.link_tasks):
            if t is not me:
                t.cancel()
        b.connected = False
        if b.pending and not b.pending.done():
            b.pending.set_result(None)
        if b.sock:
            b.sock.close()
            b.sock = None
        if b.removal:
            b.removal.cancel()
            b.removal = None

    def drop(self, b):
        """The peer goes out of range or hangs up: what bluetoothd 5.66 then signals.

        The StartNotify subscriptions of D-Bus clients that stay on the bus survive and are renewed at the next
        connection, as with bluetoothd: a bleak 3.1 client that got its disconnected callback but whose disconnect()
        was never awaited keeps its bus open and so doubles every later notification."""
        if not b.connected:
            return
        self._link_reset(b)
        d = self.path(b)
        self._set(d, DEVICE, ServicesResolved=Variant("b", False), Connected=Variant("b", False))
        for w in ("notify", "write"):
            self.objs.get(self.chr_path(b, w), {}).get(GCHR, {}).pop("MTU", None)
        self._arm_removal(b)

    async def _disconnect(self, b):
        if b.pending:
            b.pending.done() or b.pending.set_result(None)
            return
        if not b.connected:
            raise Err("NotConnected", "Not Connected")
        await asyncio.sleep(b.disconnect_delay)  # real: 2 s
        if b.connected:
            d = self.path(b)
            self._set(d, DEVICE, ServicesResolved=Variant("b", False))
            self._link_reset(b)
            asyncio.get_event_loop().call_soon(lambda: self._set(d, DEVICE, Connected=Variant("b", False)))
            self._arm_removal(b)

    # ---- GATT traffic
    async def _answer(self, b, chunks):
        for c in chunks:
            await asyncio.sleep(b.notify_delay)
            self.notify(b, c)

    def notify(self, b, value):
        if b.sock:
            b.sock.send(value)
            return
        for _ in b.notifiers:                    # bluetoothd: one signal per subscribed D-Bus client, so two see it twice
            self._set(self.chr_path(b, "notify"), GCHR, Value=Variant("ay", bytes(value)))

    def _gatt_call(self, b, which, m):
        p, op = self.chr_path(b, which), m.member
        flags = self.objs[p][GCHR]["Flags"].value
        if not b.connected:
            raise Err("Failed", "Not connected")
        if op == "WriteValue":
            kind = m.body[1].get("type", Variant("s", "request")).value
            if which != "write" or ("write-without-response" if kind == "command" else "write") not in flags:
                raise Err("NotSupported", "Operation is not supported")
            chunks = b.bms.handle(bytes(m.body[0]))
            if chunks:
                self._spawn(b, self._answer(b, chunks))
            return "", []
        if op == "ReadValue":
            return "ay", [bytes(self.objs[p][GCHR]["Value"].value)]
        if "notify" not in flags:
            raise Err("NotSupported", "Operation is not supported")
        if op == "StartNotify":
            if self.objs[p][GCHR]["NotifyAcquired"].value:
                raise Err("NotPermitted", "Notify acquired")
            if m.sender in b.notifiers:
                raise Err("InProgress", "Already notifying")
            b.notifiers.add(m.sender)
            self._set(p, GCHR, Notifying=Variant("b", True))
            return "", []
        if op == "StopNotify":
            if m.sender not in b.notifiers:
                raise Err("Failed", "No notify session started")
            b.notifiers.discard(m.sender)
            if not b.notifiers:
                self._set(p, GCHR, Notifying=Variant("b", False))
            return "", []
        if op == "AcquireNotify":
            a, z = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            b.sock = a
            self._set(p, GCHR, NotifyAcquired=Variant("b", True))
            return "hq", [0, b.mtu], z
        raise Err("org.freedesktop.DBus.Error.UnknownMethod", "no " + op)

    # ---- dispatch
    def _battery(self, path):
        return next((b for b in self.batteries if path == self.path(b) or path.startswith(self.path(b) + "/")), None)

    def _on_message(self, m):
        if m.message_type == MessageType.SIGNAL:
            if m.member == "NameOwnerChanged" and m.body[0].startswith(":") and not m.body[2]:
                self._client_gone(m.body[0])
            return
        if m.message_type != MessageType.METHOD_CALL:
            return
        k = "%s.%s" % ((m.interface or "").split(".")[-1], m.member)
        self.stats["calls"][k] = self.stats["calls"].get(k, 0) + 1
        asyncio.get_event_loop().create_task(self._handle(m))
        return True

    def _client_gone(self, sender):
        self.filters.pop(sender, None)
        if self.sessions.pop(sender, None) is not None and not self.sessions:
            self._discovering(False)
        for b in self.batteries:                 # the link stays up, as with bluetoothd
            if sender in b.notifiers:
                b.notifiers.discard(sender)
                if not b.notifiers:
                    self._set(self.chr_path(b, "notify"), GCHR, Notifying=Variant("b", False))

    async def _handle(self, m):
        z = None
        try:
            r = self._call(m)
            if asyncio.iscoroutine(r):
                r = await r
            r = r or ("", [])
            sig, body = r[0], r[1]
            if len(r) > 2:
                z = r[2]
            rep = Message.new_method_return(m, sig, body, [z.fileno()] if z else [])
        except Err as e:
            rep = Message.new_error(m, e.name, e.text)
        except Exception as e:
            log.exception("in %s", m.member)
            rep = Message.new_error(m, "org.bluez.Error.Failed", repr(e))
        if self.bus:
            r = self.bus.send(rep)
            if z:
                if r is not None:
                    await r
                z.close()

    def _call(self, m):
        path, iface = m.path, m.interface
        if iface == "org.freedesktop.DBus.Peer":
            return "", []
        if path == "/" and iface == OM and m.member == "GetManagedObjects":
            return "a{oa{sa{sv}}}", [{p: dict({INTRO: {}, PROPS: {}}, **o) for p, o in self.objs.items()}]
        o = self.objs.get(path)
        if o is None:
            raise Err("org.freedesktop.DBus.Error.UnknownObject", 'Method "%s" with signature "%s" on interface "%s" doesn\'t exist\n' % (m.member, m.signature, iface))
        if iface == PROPS:
            i = o.get(m.body[0])
            if i is None:
                raise Err("org.freedesktop.DBus.Error.InvalidArgs", "No such interface '%s'" % m.body[0])
            if m.member == "GetAll":
                return "a{sv}", [i]
            if m.body[1] not in i:
                raise Err("org.freedesktop.DBus.Error.InvalidArgs", "No such property '%s'" % m.body[1])
            if m.member == "Get":
                return "v", [i[m.body[1]]]
            if path == self.ad and m.body[1] == "Powered":
                self.power(m.body[2].value)
            else:
                self._set(path, m.body[0], **{m.body[1]: m.body[2]})
            return "", []
        if path == self.ad and iface == ADAPTER:
            return self._adapter_call(m)
        b = self._battery(path)
        if b and iface == DEVICE and path == self.path(b):
            if m.member == "Connect":
                return self._connect(b)
            if m.member == "Disconnect":
                return self._disconnect(b)
            if m.member == "Pair":
                raise Err("AuthenticationFailed", "Authentication Failed")
        if b and iface == GCHR:
            for w in ("notify", "write"):
                if path == self.chr_path(b, w):
                    return self._gatt_call(b, w, m)
        raise Err("org.freedesktop.DBus.Error.UnknownMethod", 'Method "%s" with signature "%s" on interface "%s" doesn\'t exist\n' % (m.member, m.signature, iface))

    def _adapter_call(self, m):
        if m.member == "SetDiscoveryFilter":
            self.filters[m.sender] = m.body[0]
            return "", []
        if m.member == "StartDiscovery":
            if not self.objs[self.ad][ADAPTER]["Powered"].value:
                raise Err("NotReady", "Resource Not Ready")
            if m.sender in self.sessions:
                raise Err("InProgress", "Operation already in progress")
            self.sessions[m.sender] = self.filters.get(m.sender, {})
            self._discovering(True)
            return "", []
        if m.member == "StopDiscovery":
            if m.sender not in self.sessions:
                raise Err("Failed", "No discovery started")
            del self.sessions[m.sender]
            if not self.sessions:
                self._discovering(False)
            return "", []
        if m.member == "RemoveDevice":
            b = self._battery(m.body[0])
            if not b or m.body[0] not in self.objs:
                raise Err("DoesNotExist", "Does Not Exist")
            self.remove_device(b)
            return "", []
        raise Err("org.freedesktop.DBus.Error.UnknownMethod", "no " + m.member)

    # ---- control
    async def command(self, line):
        w = line.split()
        b = self.batteries[int(w[1])] if len(w) > 1 and w[1].isdigit() else None
        if w[0] == "drop":
            self.drop(b)
        elif w[0] == "adv":
            b.advertise = w[2] == "on"
        elif w[0] in ("silent", "corrupt"):
            setattr(b.bms, w[0], w[2] == "1")
        elif w[0] == "set":
            setattr(b.bms, w[2], json.loads(" ".join(w[3:])))
        elif w[0] in ("connect_delay", "discover_delay", "disconnect_delay", "notify_delay", "connected_late"):
            setattr(b, w[0], float(w[2]))
        elif w[0] == "connect_error":
            b.connect_error = None if w[2] == "-" else (w[2], " ".join(w[3:]))
        elif w[0] == "requests":
            return json.dumps([x.hex() for x in b.bms.requests])
        elif w[0] == "notify":
            self.notify(b, bytes.fromhex(w[2]))
        elif w[0] == "remove_device":
            self.remove_device(b)
        elif w[0] == "vanish":                   # InterfacesRemoved with the link up; never seen from real bluetoothd
            self._remove_objects(b)
            self._link_reset(b)
        elif w[0] == "remove_adapter":
            self.remove_adapter()
        elif w[0] == "add_adapter":
            self.add_adapter()
        elif w[0] == "power":
            self.power(w[1] == "on")
        elif w[0] == "crash":
            await self.stop()
        elif w[0] == "start":
            await self.start()
        elif w[0] == "stats":
            return json.dumps(self.stats)
        else:
            return "error unknown " + w[0]
        return "ok"


async def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--bus", default=os.environ.get("DBUS_SYSTEM_BUS_ADDRESS"))
    ap.add_argument("--count", type=int, default=1)
    ap.add_argument("--control", default="127.0.0.1:7654")
    ap.add_argument("--ready")
    ap.add_argument("--temporary-timeout", type=float, default=30)
    a = ap.parse_args()
    logging.basicConfig(level=logging.INFO)
    fake = FakeBluez(a.count, a.bus)
    fake.TEMPORARY_TIMEOUT = a.temporary_timeout
    await fake.start()
    quit_ = asyncio.Event()

    async def client(r, w):
        while True:
            line = (await r.readline()).decode().strip()
            if not line:
                break
            if line == "quit":
                quit_.set()
                break
            try:
                out = await fake.command(line)
            except Exception as e:
                out = "error %r" % (e,)
            w.write((out + "\n").encode())
            await w.drain()
        w.close()
    h, p = a.control.rsplit(":", 1)
    await asyncio.start_server(client, h, int(p))
    if a.ready:
        open(a.ready, "w").close()
    await quit_.wait()

if __name__ == "__main__":
    asyncio.run(main())
