"""From what the owner typed to what the daemon runs: batteries, their radios, and the configuration to record."""

from __future__ import annotations

import logging
import os
from argparse import Namespace
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from attrs import evolve, field, frozen

from adapters.in_process import Peripheral
from adapters.recorded_battery import RecordedBattery
from adapters.simulated_battery import SimulatedBattery, SimulatedPack
from config.addresses import BluetoothAddress, RecordedAddress, SimulatedAddress
from config.batteries import NamedBattery, load_batteries
from config.loader import load
from config.options import ConfigError
from config.translation import battery_configuration, published_options, run_configuration
from config.values import Values, defaults
from core import protocols
from core.configuration import PARALLEL, SEPARATE, SINGLE, BatteryConfiguration, Configuration, configuration_from
from core.events import Event, LinkEstablished, LinkLost, ReadingTaken, SessionStarted
from service import VERSION
from storage.database import StorageError
from storage.retention import MB, Retention
from storage.session_file import SessionReader

log = logging.getLogger(__name__)

VENUS_VERSION = Path("/opt/victronenergy/version")
DEMO_SESSION = Path(__file__).resolve().parent / "sessions" / "demo-4s.jsonl"
SIMULATED_FAMILY = "jbd"


@frozen
class PlannedBattery:
    """A battery to run. *peripheral* is set for one that lives in this process."""

    configuration: BatteryConfiguration
    peripheral: Optional[Peripheral] = None
    password: str = field(default="", repr=False)
    """Of the Bluetooth module. It stays out of the configuration, which is recorded."""
    adapters: Tuple[str, ...] = ()
    """Bluetooth adapters to use, by name or address, in order of preference; none: any."""
    own_options: Tuple[str, ...] = ()
    """What the battery's own file decides, as text."""
    recorded_topology: Optional[str] = None
    """Set when a recording alone decides what its batteries are together."""


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


def load_options(arguments: Namespace) -> Tuple[Values, List[str]]:
    """The options of ``run`` and ``check``, and the warnings. Raises :class:`ConfigError`."""
    topology: Optional[Tuple[str, str]] = None
    if arguments.topology is not None:
        topology = ("--" + arguments.topology, arguments.topology)
    return load(Path(arguments.config) if arguments.config else None, arguments.set, topology)


def _log_warning(message: str) -> None:
    log.warning("%s", message)


def plan_batteries(
    texts: Sequence[str], values: Optional[Values] = None, warn: Callable[[str], None] = _log_warning
) -> List[PlannedBattery]:
    """The batteries that *texts* name, or else those of the option BATTERIES; *warn* hears of their own files.

    Raises :class:`ConfigError` for a wrong or repeated address or a wrong file, :class:`StorageError` for a bad session
    file.
    """
    named, warnings = load_batteries(texts, values or defaults())
    for warning in warnings:
        warn(warning)
    planned: List[PlannedBattery] = []
    for battery in named:
        planned += _plan(battery, alone=len(named) == 1)
    _check_together(planned)
    return planned


def _check_together(planned: Sequence[PlannedBattery]) -> None:
    if not planned:
        raise ConfigError("no battery given: a Bluetooth address, sim:NAME, session:FILE, or --demo")
    seen: Set[str] = set()
    for battery in planned:
        if battery.configuration.battery in seen:
            raise ConfigError("the battery {} is named twice".format(battery.configuration.address))
        seen.add(battery.configuration.battery)
    if len({battery.peripheral is None for battery in planned}) > 1:
        raise ConfigError("real batteries and simulated or recorded ones never share a run, a database or a bus")


def _plan(named: NamedBattery, *, alone: bool) -> List[PlannedBattery]:
    if isinstance(named.address, BluetoothAddress):
        address = named.address
        configuration = battery_configuration(named.values, address.battery, address.mac)
        known = named.values
        return [PlannedBattery(configuration, None, known["PASSWORD"], tuple(known["ADAPTERS"]), named.own_options)]
    if isinstance(named.address, SimulatedAddress):
        return [_simulated(named, named.address)]
    return _recorded(named.address, named.values, alone=alone)


def _simulated(named: NamedBattery, address: SimulatedAddress) -> PlannedBattery:
    parameters = dict(address.parameters)
    pack = SimulatedPack(
        name=address.name,
        cells=int(parameters.get("cells", 4)),
        capacity_ah=int(parameters.get("capacity", 100)),
        seed=int(parameters.get("seed", 1)),
        soc_pct=parameters.get("soc", 60.0),
        outages=address.outages,
    )
    configuration = battery_configuration(
        named.values, address.battery, address.name, connection="Simulated", family=SIMULATED_FAMILY
    )
    return PlannedBattery(configuration, SimulatedBattery(pack), own_options=named.own_options)


@frozen
class _Recording:
    """What a session file holds of its batteries. Times in seconds from the first reading, sessions end to end."""

    configuration: Configuration
    frames: Dict[str, List[Tuple[float, bytes]]]
    outages: Dict[str, List[Tuple[float, float]]]
    duration_s: float


def _read_recording(path: str) -> _Recording:
    reader = SessionReader(Path(path))
    try:
        configuration = configuration_from(dict(reader.header.configuration))
        frames: Dict[str, List[Tuple[float, bytes]]] = {battery.battery: [] for battery in configuration.batteries}
        outages: Dict[str, List[Tuple[float, float]]] = {battery.battery: [] for battery in configuration.batteries}
        down: Dict[str, float] = {}
        now_s = 0.0
        last: Optional[Event] = None
        for event in reader.events():
            if last is not None and not isinstance(event.fact, SessionStarted) and any(frames.values()):
                now_s += (event.uptime_us - last.uptime_us) / 1e6
            last = event
            fact = event.fact
            if isinstance(fact, ReadingTaken) and fact.battery in frames:
                frames[fact.battery].append((now_s, fact.frame))
            elif isinstance(fact, LinkLost):
                down.setdefault(fact.battery, now_s)
            elif isinstance(fact, LinkEstablished) and fact.battery in down:
                outages[fact.battery].append((down.pop(fact.battery), now_s))
    except ValueError as error:
        raise StorageError("session {} line 1: {}".format(path, error)) from None
    finally:
        reader.close()
    return _Recording(configuration, frames, outages, now_s)


def _recorded(address: RecordedAddress, values: Values, *, alone: bool) -> List[PlannedBattery]:
    """The batteries of a session. One that is more than a monitor keeps what it was recorded with."""
    recording = _read_recording(address.path)
    topology: Optional[str] = recording.configuration.topology
    monitors = topology == SEPARATE
    if monitors or not alone or values.typed("TOPOLOGY"):
        topology = None
    planned = []
    for battery in recording.configuration.batteries:
        name = battery.battery.partition("_")[2] or battery.battery
        known = battery_configuration(values, "sim_" + name, battery.address, family=battery.protocol)
        if not monitors:
            known = evolve(battery, battery=known.battery, label=known.label)
        peripheral = RecordedBattery(
            name,
            protocols.find(battery.protocol),
            recording.frames[battery.battery],
            duration_s=recording.duration_s,
            outages=recording.outages[battery.battery],
        )
        known = evolve(known, connection="Recorded session")
        planned.append(PlannedBattery(known, peripheral, recorded_topology=topology))
    return planned


def planned_topology(planned: Sequence[PlannedBattery], values: Values) -> str:
    """What the batteries are together: as a recording says, as the owner says, or one battery by itself."""
    if planned[0].recorded_topology is not None:
        return planned[0].recorded_topology
    configured: str = values["TOPOLOGY"]
    return SINGLE if len(planned) == 1 and configured != SEPARATE else configured


def plan_configuration(
    planned: Sequence[PlannedBattery], values: Values, device_instance: Optional[int]
) -> Configuration:
    """The effective configuration of a run. Raises :class:`ConfigError` when the batteries do not fit together."""
    topology = planned_topology(planned, values)
    batteries = [battery.configuration for battery in planned]
    counts = {battery.cell_count for battery in batteries if battery.cell_count is not None}
    if topology == PARALLEL and len(counts) > 1:
        raise ConfigError("batteries in parallel need the same CELL_COUNT, not {}".format(sorted(counts)))
    published = published_options(values, version=VERSION)
    return run_configuration(values, batteries, topology=topology, device_instance=device_instance, published=published)


def plan_retention(values: Values) -> Retention:
    """How long history is kept."""
    return Retention(
        readings_days=values["RETENTION_RAW_DAYS"],
        minutes_hours=values["RETENTION_MINUTE_HOURS"],
        quarters_days=values["RETENTION_QUARTER_DAYS"],
        cap_bytes=values["DATABASE_MAX_MB"] * MB or None,
    )
