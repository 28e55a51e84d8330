"""From what the owner typed to what the daemon runs: batteries, their radios, and the configuration to record."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from attrs import frozen

from adapters.clock import Clock
from adapters.in_process import InProcessRadio, Peripheral
from adapters.radio import Radio
from adapters.recorded_battery import RecordedBattery
from adapters.simulated_battery import SimulatedBattery, SimulatedPack
from config.addresses import Address, BluetoothAddress, RecordedAddress, SimulatedAddress, parse_address
from config.options import ConfigError
from core import protocols
from core.configuration import BatteryConfiguration, Configuration, configuration_from
from core.events import Event, LinkEstablished, LinkLost, ReadingTaken, SessionStarted
from storage.session_file import SessionReader

VENUS_VERSION = Path("/opt/victronenergy/version")
DEMO_SESSION = Path(__file__).resolve().parent / "sessions" / "demo-4s.jsonl"


@frozen
class PlannedBattery:
    """A battery to run. *peripheral* is set for one that lives in this process."""

    configuration: BatteryConfiguration
    peripheral: Optional[Peripheral] = None


def on_venus() -> bool:
    """Whether this is a Victron device."""
    return VENUS_VERSION.exists()


def default_database(in_process: bool, environment: Mapping[str, str] = os.environ) -> Path:
    """Simulated and recorded batteries never share a database with real ones."""
    name = "simulated.db" if in_process else "history.db"
    if on_venus():
        return Path("/data/dbus-btbattery") / name
    state = environment.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Path(state) / "dbus-btbattery" / name


def plan_batteries(texts: Sequence[str]) -> List[PlannedBattery]:
    """Raises :class:`ConfigError` for a wrong or repeated address, :class:`StorageError` for a bad session file."""
    planned: List[PlannedBattery] = []
    for text in texts:
        planned += _plan(parse_address(text))
    seen: Dict[str, None] = {}
    for battery in planned:
        name = battery.configuration.battery
        if name in seen:
            raise ConfigError("the battery {} is named twice".format(battery.configuration.address))
        seen[name] = None
    if not planned:
        raise ConfigError("no battery given: a Bluetooth address, sim:NAME, session:FILE, or --demo")
    return planned


def _plan(address: Address) -> List[PlannedBattery]:
    if isinstance(address, BluetoothAddress):
        return [PlannedBattery(BatteryConfiguration(address.battery, address.mac))]
    if isinstance(address, SimulatedAddress):
        return [_simulated(address)]
    return _recorded(address)


def _simulated(address: SimulatedAddress) -> PlannedBattery:
    values = dict(address.parameters)
    pack = SimulatedPack(
        name=address.name,
        cells=int(values.get("cells", 4)),
        capacity_ah=int(values.get("capacity", 100)),
        seed=int(values.get("seed", 1)),
        soc_pct=values.get("soc", 60.0),
        outages=address.outages,
    )
    configuration = BatteryConfiguration(address.battery, address.name, connection="Simulated")
    return PlannedBattery(configuration, SimulatedBattery(pack))


def _recorded(address: RecordedAddress) -> List[PlannedBattery]:
    reader = SessionReader(Path(address.path))
    try:
        recorded = configuration_from(dict(reader.header.configuration)).batteries
        frames: Dict[str, List[Tuple[float, bytes]]] = {battery.battery: [] for battery in recorded}
        outages: Dict[str, List[Tuple[float, float]]] = {battery.battery: [] for battery in recorded}
        down: Dict[str, float] = {}
        now_s = 0.0
        last: Optional[Event] = None
        for event in reader.events():
            if last is not None and not isinstance(event.fact, SessionStarted) and any(frames.values()):
                now_s += (event.uptime_us - last.uptime_us) / 1e6  # from the first reading on, sessions end to end
            last = event
            fact = event.fact
            if isinstance(fact, ReadingTaken) and fact.battery in frames:
                frames[fact.battery].append((now_s, fact.frame))
            elif isinstance(fact, LinkLost):
                down.setdefault(fact.battery, now_s)
            elif isinstance(fact, LinkEstablished) and fact.battery in down:
                outages[fact.battery].append((down.pop(fact.battery), now_s))
    finally:
        reader.close()
    return [
        _recorded_battery(battery, frames[battery.battery], now_s, outages[battery.battery]) for battery in recorded
    ]


def _recorded_battery(
    battery: BatteryConfiguration,
    frames: List[Tuple[float, bytes]],
    duration_s: float,
    outages: List[Tuple[float, float]],
) -> PlannedBattery:
    name = battery.battery.partition("_")[2] or battery.battery
    protocol = protocols.find(battery.protocol)
    configuration = BatteryConfiguration(
        "sim_" + name, battery.address, battery.protocol, protocol.label, connection="Recorded session"
    )
    return PlannedBattery(
        configuration, RecordedBattery(name, protocol, frames, duration_s=duration_s, outages=outages)
    )


def plan_configuration(
    planned: Sequence[PlannedBattery], values: Mapping[str, float], device_instance: int
) -> Configuration:
    """The effective configuration of a run."""
    return Configuration(
        batteries=tuple(battery.configuration for battery in planned),
        device_instance=device_instance,
        product_id=int(values["PRODUCT_ID"]),
        poll_seconds=values["POLL_SECONDS"],
        hold_seconds=int(values["HOLD_SECONDS"]),
        remove_seconds=int(values["REMOVE_SECONDS"]),
        soc_low_warning_pct=values["SOC_LOW_WARNING"],
        soc_low_alarm_pct=values["SOC_LOW_ALARM"],
    )


def radio_for(battery: PlannedBattery, clock: Clock, turn: asyncio.Lock) -> Radio:
    """The radio that reaches *battery*."""
    if battery.peripheral is not None:
        return InProcessRadio(battery.peripheral, clock)
    from adapters.ble import BleakRadio  # bleak takes a third of a second to import

    known = battery.configuration
    return BleakRadio(known.address, protocols.find(known.protocol), turn)
