"""Everything a projection needs to know that is not a reading. Recorded at the start of every session,
so that a replay decides as the live program did. Holds no password.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from attrs import asdict, evolve, field, fields, frozen

from core.limits.curves import Curve
from core.limits.profile import ChargeProfile

MIN_LIVE_S = 15
POLLS_PER_LIVE = 3
PLAIN_HOLD_S = 120
"""A hold longer than this is honoured only while the cells were last in a safe window."""
_LIMIT = 2**31

SEPARATE = "separate"
SINGLE = "single"
SERIES = "series"
PARALLEL = "parallel"
TOPOLOGIES = (SEPARATE, SINGLE, SERIES, PARALLEL)

UNIT_AUTO, UNIT_X1, UNIT_X10 = "auto", "x1", "x10"


@frozen
class BatteryConfiguration:
    """One physical battery."""

    battery: str
    """Identity in events and last part of the bus name, e.g. ``ble_a4c1370420be``."""
    address: str
    protocol: str = "jbd"
    label: str = "JBD"
    connection: str = "Bluetooth LE"
    insecure_connection: int = 1
    """1: the voltage must not correct charger voltages (Venus OS 3.80 and later)."""
    profile: ChargeProfile = field(factory=ChargeProfile)
    capacity_mah: Optional[int] = None
    """What the owner knows better than the BMS."""
    fallback_capacity_mah: Optional[int] = None
    """For a BMS that answers 0."""
    cell_count: Optional[int] = None
    """What the owner asserts; a BMS that says something else gets no limits."""
    current_sign: int = 1
    current_unit: str = UNIT_AUTO
    """Whether counts of 100 mA are believed by the BMS's own flag, never (``x1``) or always (``x10``)."""


@frozen
class PlannedService:
    """A service on the bus, and which batteries it stands for."""

    key: str
    """Its identity in events, and the last part of its bus name."""
    batteries: Tuple[int, ...]
    """Their places in the configuration, from 0."""
    controls: bool = False
    """Whether it tells Venus OS how hard to charge. Exactly one service may."""
    monitors_cells: bool = False
    """Whether it has the cell monitor. Of each battery exactly one service has, so that no alert comes twice."""


@frozen
class Configuration:
    """The effective configuration of one run. Times in seconds of uptime."""

    batteries: Tuple[BatteryConfiguration, ...]
    topology: str = SEPARATE
    """``separate`` batteries are monitors, as every recording of version 0.1 is."""
    monitor_only: bool = False
    publish_members: bool = False
    device_instance: Optional[int] = 1
    """Of the first service; the others count on from it. ``None``: Venus OS assigns it, as a SettingChanged."""
    product_id: int = 0xBAB7
    poll_seconds: float = 5.0
    hold_seconds: int = PLAIN_HOLD_S
    remove_seconds: int = 240
    start_wait_seconds: int = 120
    """How long a parallel battery waits for its last member before it begins without."""
    block_discharge_on_loss: bool = False
    estimate_lost: bool = False
    linear: bool = False
    """Limits follow straight lines instead of steps."""
    float_switching: bool = False
    """Whether there is a float phase at all."""
    absorption_max_s: int = 14_400
    rebulk_soc_pct: float = 90.0
    soc_low_warning_pct: float = 20.0
    soc_low_alarm_pct: float = 10.0
    soc_imbalance_pct: Optional[float] = 10.0
    midpoint: bool = False
    cell_data_format: int = 1
    """Bit 0: ``/Voltages/Cell#``; bit 1: ``/Cell/#/Volts``."""
    time_to_soc_points: Tuple[int, ...] = ()
    time_to_soc_type: int = 3
    time_to_soc_cycles: int = 5
    time_to_soc_passed: bool = False
    published_options: Mapping[str, Any] = field(factory=dict)
    """What ``/Info/Config`` shows, by option name."""

    @property
    def services(self) -> Tuple[PlannedService, ...]:
        """What is published: the one battery or the virtual one, and monitors."""
        everything = tuple(range(len(self.batteries)))
        monitors = tuple(PlannedService(self.batteries[index].battery, (index,)) for index in everything)
        if self.topology == SEPARATE:
            return tuple(evolve(monitor, monitors_cells=True) for monitor in monitors)
        controls = not self.monitor_only
        if len(everything) == 1:
            return (PlannedService(self.batteries[0].battery, everything, controls, monitors_cells=True),)
        whole = PlannedService("virtual_" + self.topology, everything, controls, monitors_cells=True)
        return (whole, *(monitors if self.publish_members else ()))

    @property
    def live_s(self) -> float:
        """How old the older half of a reading may be to count as now (venus-dbus D.4)."""
        return max(POLLS_PER_LIVE * self.poll_seconds, MIN_LIVE_S)

    def to_payload(self) -> Dict[str, Any]:
        """Plain JSON values."""
        plain: Dict[str, Any] = _plain(asdict(self))
        return plain


def _plain(value: Any) -> Any:
    """Tuples as the lists that JSON makes of them, so that a payload is the same before and after a file."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def configuration_from(payload: Dict[str, Any]) -> Configuration:
    """The inverse of ``to_payload``; unknown keys of a later version are passed over.

    Raises :class:`ValueError` when no battery is named or a value is of the wrong type.
    """
    named = payload.get("batteries")
    if not named or not isinstance(named, (list, tuple)) or not all(_names_battery(each) for each in named):
        raise ValueError("the configuration names no batteries")
    batteries = tuple(_structured(BatteryConfiguration, {"address": "", **each}) for each in named)
    configuration: Configuration = _structured(Configuration, {**payload, "batteries": batteries})
    if configuration.topology == SINGLE and len(batteries) > 1:
        raise ValueError("the configuration has {} batteries as a single one".format(len(batteries)))
    if configuration.topology not in TOPOLOGIES:
        raise ValueError("the configuration has topology = {!r}".format(configuration.topology))
    return configuration


def _structured(cls: Any, payload: Any) -> Any:
    if not isinstance(payload, dict):
        raise ValueError("the configuration has {!r} where values by name belong".format(payload))
    known = {}
    for attribute in fields(cls):
        if attribute.name not in payload:
            continue
        value = payload[attribute.name]
        try:
            known[attribute.name] = _READERS[str(attribute.type)](value)
        except (TypeError, KeyError):
            raise ValueError("the configuration has {} = {!r}".format(attribute.name, value)) from None
    return cls(**known)


def _names_battery(payload: Any) -> bool:
    return isinstance(payload, dict) and bool(payload.get("battery"))


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _LIMIT:
        raise TypeError
    return value


def _instance_of(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, kind):
            raise TypeError
        return value

    return read


def _optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


def _tuple_of(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read_all(value: Any) -> Any:
        items: List[Any] = _instance_of((list, tuple))(value)  # type: ignore[arg-type]
        return tuple(read(item) for item in items)

    return read_all


def _curve(payload: Any) -> Curve:
    return Curve(tuple((_number(x), _number(y)) for x, y in _instance_of(dict)(payload)["points"]))


_READERS: Dict[str, Callable[[Any], Any]] = {
    "int": _number,
    "float": _number,
    "bool": _instance_of(bool),
    "str": _instance_of(str),
    "Optional[int]": _optional(_number),
    "Optional[float]": _optional(_number),
    "Mapping[str, Any]": _instance_of(dict),
    "Tuple[int, ...]": _tuple_of(_number),
    "Tuple[BatteryConfiguration, ...]": _instance_of(tuple),
    "ChargeProfile": lambda value: _structured(ChargeProfile, value),
    "Curve": _curve,
    "Optional[Curve]": _optional(_curve),
}
"""By annotation: reads a value of a payload, or raises TypeError or ValueError."""
