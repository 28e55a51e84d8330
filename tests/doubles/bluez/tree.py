"""The objects that the double exports, as bluetoothd does: paths, interfaces, properties, and the signals about them.

Python 3.8, dbus-next.
"""

from dbus_next import Variant

PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
ADAPTER = "org.bluez.Adapter1"
DEVICE = "org.bluez.Device1"
GATT_SERVICE = "org.bluez.GattService1"
GATT_CHARACTERISTIC = "org.bluez.GattCharacteristic1"
GATT_DESCRIPTOR = "org.bluez.GattDescriptor1"
SHORT_UUID = "0000{:04x}-0000-1000-8000-00805f9b34fb"

_FREEDESKTOP_ERROR = "org.freedesktop.DBus.Error."


class BluezError(Exception):
    """What a method call is answered with: a name of org.bluez.Error (or a whole one), and a text."""

    def __init__(self, name, text):
        super().__init__(name, text)
        self.name = name if "." in name else "org.bluez.Error." + name
        self.text = text


def unknown_method(message):
    """The error of a method that an object does not have."""
    text = 'Method "{}" with signature "{}" on interface "{}" doesn\'t exist\n'
    text = text.format(message.member, message.signature, message.interface)
    return BluezError(_FREEDESKTOP_ERROR + "UnknownMethod", text)


def unknown_object(message):
    """The error of an object that is not there."""
    return BluezError(_FREEDESKTOP_ERROR + "UnknownObject", unknown_method(message).text)


class ObjectTree:
    """path -> interface -> property -> Variant. *signal* sends (path, interface, member, signature, body)."""

    def __init__(self, signal):
        self._objects = {}
        self._signal = signal

    def __contains__(self, path):
        return path in self._objects

    def add(self, path, interfaces):
        """Export an object."""
        self._objects[path] = interfaces
        self._signal("/", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, _with_standard(interfaces)])

    def remove(self, path):
        """Take an object and all below it away, the lowest first."""
        below = [other for other in self._objects if other.startswith(path + "/")]
        for gone in sorted(below, reverse=True) + [path]:
            interfaces = self._objects.pop(gone, None)
            if interfaces is not None:
                names = [PROPERTIES, INTROSPECTABLE] + list(interfaces)
                self._signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", [gone, names])

    def clear(self):
        """Forget everything, without a signal."""
        self._objects.clear()

    def has(self, path, interface, name):
        """Whether the property is there."""
        return name in self._objects.get(path, {}).get(interface, {})

    def get(self, path, interface, name, default=None):
        """The plain value of a property."""
        variant = self._objects.get(path, {}).get(interface, {}).get(name)
        return default if variant is None else variant.value

    def set(self, path, interface, **properties):
        """Change properties and tell it in one signal; nothing if the object is not there."""
        kept = self._objects.get(path, {}).get(interface)
        if kept is not None:
            kept.update(properties)
            self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, properties, []])

    def set_silently(self, path, interface, **properties):
        """Change properties without a signal; None takes one away."""
        kept = self._objects.get(path, {}).get(interface, {})
        for name, value in properties.items():
            if value is None:
                kept.pop(name, None)
            else:
                kept[name] = value

    def invalidate(self, path, interface, name):
        """Take a property away and tell it."""
        if self.has(path, interface, name):
            del self._objects[path][interface][name]
            self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, {}, [name]])

    def managed(self):
        """The answer to GetManagedObjects."""
        return "a{oa{sa{sv}}}", [{path: _with_standard(interfaces) for path, interfaces in self._objects.items()}]

    def read(self, message):
        """The answer to Properties.Get and GetAll."""
        interface = self._objects[message.path].get(message.body[0])
        if interface is None:
            text = "No such interface '{}'".format(message.body[0])
            raise BluezError(_FREEDESKTOP_ERROR + "InvalidArgs", text)
        if message.member == "GetAll":
            return "a{sv}", [interface]
        if message.body[1] not in interface:
            text = "No such property '{}'".format(message.body[1])
            raise BluezError(_FREEDESKTOP_ERROR + "InvalidArgs", text)
        return "v", [interface[message.body[1]]]


def boolean(value):
    """A boolean for the bus."""
    return Variant("b", bool(value))


def string(value):
    """A string for the bus."""
    return Variant("s", value)


def _with_standard(interfaces):
    return dict({INTROSPECTABLE: {}, PROPERTIES: {}}, **interfaces)
