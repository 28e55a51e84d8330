"""What a scan knows of each device around, those that look like a supported BMS first. No I/O, no clock."""

from __future__ import annotations

from functools import lru_cache
from typing import Dict, List, Optional, Sequence, Tuple, Union

from attrs import define, evolve, field

from adapters.dbus.bluez import Snapshot
from adapters.proof import Proof
from adapters.radio import LinkDropped
from core import protocols
from core.protocols import Protocol
from core.protocols.base import Advertisement
from core.writes import printable_name

_RANDOM = "random"


@lru_cache(maxsize=1024)
def recognise(advertisement: Advertisement) -> Optional[Tuple[Protocol, str]]:
    """The family that a device looks like, and why: ``service ff00 + name``."""
    for name in protocols.names():
        protocol = protocols.find(name)
        reason = protocol.recognise(advertisement)
        if reason is not None:
            return protocol, reason
    return None


@define
class ScannedDevice:
    """One device. What it was heard to say is kept when it falls silent."""

    address: str
    address_type: Optional[str] = None
    name: Optional[str] = None
    services: Tuple[str, ...] = ()
    rssi_dbm: Dict[str, int] = field(factory=dict)
    """The latest by adapter. Not smoothed: BlueZ tells only changes, and a mean would lag behind the last of them."""
    adapter: Optional[str] = None
    """Of a device that is in use, the one that has the connection."""
    in_use: bool = False
    protocol: Optional[Protocol] = None
    reason: Optional[str] = None
    answer: Union[Proof, LinkDropped, None] = None
    """What it answered when it was asked, or why it did not."""

    @property
    def random(self) -> bool:
        """Whether its address is not one that its maker was assigned."""
        return self.address_type == _RANDOM

    @property
    def adapters(self) -> List[str]:
        """Which hear it, the best first."""
        return sorted(self.rssi_dbm, key=lambda name: (-self.rssi_dbm[name], name))

    @property
    def best_rssi_dbm(self) -> Optional[int]:
        """As the adapter hears it that hears it best."""
        return max(self.rssi_dbm.values(), default=None)

    @property
    def confirmed(self) -> bool:
        """Whether it answered as a supported BMS does."""
        return isinstance(self.answer, Proof)

    def learn(self, advertisement: Advertisement, address_type: Optional[str]) -> None:
        """What it says of itself; what it does not say this time stays as it was."""
        self.name = printable_name(advertisement.name or "") or self.name
        self.services = advertisement.services or self.services
        self.address_type = address_type or self.address_type
        recognised = recognise(Advertisement(self.address, self.name, None, self.services))
        self.protocol, self.reason = recognised or (None, None)


class ScanList:
    """Every device, by address."""

    def __init__(self) -> None:
        self._devices: Dict[str, ScannedDevice] = {}

    @property
    def devices(self) -> List[ScannedDevice]:
        """Those that look like a supported BMS first, then by signal."""

        def rank(device: ScannedDevice) -> Tuple[bool, int, str]:
            rssi_dbm = device.best_rssi_dbm
            return device.protocol is None, 999 if rssi_dbm is None else -rssi_dbm, device.address

        return sorted(self._devices.values(), key=rank)

    @property
    def supported(self) -> List[ScannedDevice]:
        """Those that look like a supported BMS."""
        return [device for device in self.devices if device.protocol is not None]

    def hear(self, adapter: str, advertisement: Advertisement, address_type: Optional[str] = None) -> None:
        """One advertisement, as *adapter* heard it."""
        device = self._device(advertisement.address)
        device.learn(advertisement, address_type)
        if advertisement.rssi_dbm is not None:
            device.rssi_dbm[adapter] = advertisement.rssi_dbm

    def take(self, snapshot: Snapshot, listening: Sequence[str]) -> None:
        """What BlueZ knows: which devices are in use, and what the adapters that are *listening* have heard already.

        Of one that has a signal nothing more may be told, as long as it does not change.
        """
        names = {adapter.path: adapter.name for adapter in snapshot.adapters}
        for known in self._devices.values():
            known.in_use = bool(snapshot.connected(known.address))
        for device in snapshot.devices:
            adapter = names.get(device.path.rpartition("/")[0], "")
            told = Advertisement(device.address, device.name, None, device.services)
            if device.connected and (device.address.upper() in self._devices or recognise(told)):
                ours = self._device(device.address)
                ours.learn(told, device.address_type)
                ours.in_use, ours.adapter = True, adapter
            elif device.rssi_dbm is not None and adapter in listening:
                self.hear(adapter, evolve(told, rssi_dbm=device.rssi_dbm), device.address_type)

    def _device(self, address: str) -> ScannedDevice:
        address = address.upper()
        return self._devices.setdefault(address, ScannedDevice(address))
