"""From options as owners write them to what the core reckons with: millivolts, milliamperes, tenths of a degree."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from config.options import DEFAULT_FAMILY, OPTIONS
from config.values import Values
from core import protocols
from core.configuration import BatteryConfiguration, Configuration
from core.limits.curves import Curve
from core.limits.profile import ChargeProfile

FULL_PERMILLE = 1000
FREE_DISCHARGE_ABOVE_PERMILLE = 50
"""How far above DC_SOC_LIMIT3 the full discharge current is reached, so that a line has no jump (charge-control 5)."""

_CHARGE, _DISCHARGE = "MAX_BATTERY_CHARGE_CURRENT", "MAX_BATTERY_DISCHARGE_CURRENT"


def _thousandths(value: float) -> int:
    return round(value * 1000)


def _tenths(value: float) -> int:
    return round(value * 10)


def _curve(points: Iterable[Tuple[int, float]], stricter: Callable[[float, float], float] = min) -> Curve:
    """*points* in ascending order. Of two with the same input, as at 100 %, the stricter one stays."""
    kept: Dict[int, float] = {}
    for x, y in points:
        kept[x] = stricter(kept[x], y) if x in kept else y
    return Curve(tuple(sorted(kept.items())))


def _table(values: Values, enable: str, points: str, fractions: str, scale: Callable[[float], int]) -> Optional[Curve]:
    if not values[enable]:
        return None
    return _curve(zip(map(scale, values[points]), values[fractions]))


def _charge_by_soc(values: Values) -> Optional[Curve]:
    """``CC_CURRENT_LIMITn`` holds above ``CC_SOC_LIMITn``, so each fraction belongs to the next point."""
    if not values["CCCM_SOC_ENABLE"]:
        return None
    inputs = [_tenths(values["CC_SOC_LIMIT{}".format(n)]) for n in (3, 2, 1)] + [FULL_PERMILLE]
    fractions = [1.0] + [values["CC_CURRENT_LIMIT{}_FRACTION".format(n)] for n in (3, 2, 1)]
    return _curve(zip(inputs, fractions))


def _discharge_by_soc(values: Values) -> Optional[Curve]:
    if not values["DCCM_SOC_ENABLE"]:
        return None
    inputs = [_tenths(values["DC_SOC_LIMIT{}".format(n)]) for n in (1, 2, 3)]
    fractions = [values["DC_CURRENT_LIMIT{}_FRACTION".format(n)] for n in (1, 2, 3)]
    free = min(inputs[-1] + FREE_DISCHARGE_ABOVE_PERMILLE, FULL_PERMILLE)
    return _curve(zip([*inputs, free], [*fractions, 1.0]))


def charge_profile(values: Values) -> ChargeProfile:
    """What the battery that *values* count for tolerates. A factor that is switched off is ``None``."""
    penalties = zip(
        map(_thousandths, values["PENALTY_AT_CELL_VOLTAGE"]), map(_thousandths, values["PENALTY_BATTERY_VOLTAGE"])
    )
    return ChargeProfile(
        max_charge_ma=_thousandths(values[_CHARGE]),
        max_discharge_ma=_thousandths(values[_DISCHARGE]),
        min_cell_mv=_thousandths(values["MIN_CELL_VOLTAGE"]),
        max_cell_mv=_thousandths(values["MAX_CELL_VOLTAGE"]),
        float_cell_mv=_thousandths(values["FLOAT_CELL_VOLTAGE"]),
        absorption_s=values["MAX_VOLTAGE_TIME_SEC"],
        charge_by_cell_mv=_table(
            values, "CCCM_CV_ENABLE", "CELL_VOLTAGES_WHILE_CHARGING", "MAX_CHARGE_CURRENT_CV_FRACTION", _thousandths
        ),
        discharge_by_cell_mv=_table(
            values, "DCCM_CV_ENABLE", "CELL_VOLTAGES_WHILE_DISCHARGING", "MAX_DISCHARGE_CURRENT_CV_FRACTION",
            _thousandths,
        ),
        charge_by_temperature_dc=_table(
            values, "CCCM_T_ENABLE", "TEMPERATURE_LIMITS_WHILE_CHARGING", "MAX_CHARGE_CURRENT_T_FRACTION", _tenths
        ),
        discharge_by_temperature_dc=_table(
            values, "DCCM_T_ENABLE", "TEMPERATURE_LIMITS_WHILE_DISCHARGING", "MAX_DISCHARGE_CURRENT_T_FRACTION",
            _tenths,
        ),
        charge_by_soc_permille=_charge_by_soc(values),
        discharge_by_soc_permille=_discharge_by_soc(values),
        penalty_mv=_curve(penalties, stricter=max),
    )  # fmt: skip


def battery_configuration(
    values: Values, battery: str, address: str, *, connection: str = "Bluetooth LE", family: Optional[str] = None
) -> BatteryConfiguration:
    """One battery. *family* ``None``: as BMS_TYPE says."""
    protocol = protocols.find(family or values["BMS_TYPE"] or DEFAULT_FAMILY)
    return BatteryConfiguration(
        battery,
        address,
        protocol.name,
        protocol.label,
        connection=connection,
        profile=charge_profile(values),
        capacity_mah=_thousandths(values["CAPACITY"]) or None,
        fallback_capacity_mah=_thousandths(values["BATTERY_CAPACITY"]),
        cell_count=values["CELL_COUNT"] or None,
        current_sign=values["INVERT_CURRENT_MEASUREMENT"],
        current_unit=values["CURRENT_UNIT"],
    )


def run_configuration(
    values: Values,
    batteries: Sequence[BatteryConfiguration],
    *,
    topology: str,
    device_instance: Optional[int],
    published: Mapping[str, Any],
) -> Configuration:
    """What a run goes by and records. *published* is what :func:`published_options` gave."""
    imbalance_pct = values["SOC_IMBALANCE_THRESHOLD"] if values["SOC_IMBALANCE_DETECTION_ENABLE"] else None
    return Configuration(
        batteries=tuple(batteries),
        topology=topology,
        monitor_only=values["MONITOR_ONLY"],
        publish_members=values["PUBLISH_MEMBERS"],
        device_instance=device_instance,
        product_id=values["PRODUCT_ID"],
        poll_seconds=values["POLL_SECONDS"],
        hold_seconds=values["HOLD_SECONDS"],
        remove_seconds=values["REMOVE_SECONDS"],
        start_wait_seconds=values["START_WAIT_SECONDS"],
        block_discharge_on_loss=values["BLOCK_DISCHARGE_ON_LOSS"],
        estimate_lost=values["ESTIMATE_LOST"],
        linear=values["LINEAR_LIMITATION_ENABLE"],
        float_switching=values["CVCM_ENABLE"],
        absorption_max_s=values["ABSORPTION_MAX_SEC"],
        rebulk_soc_pct=values["SOC_LEVEL_TO_RESET_VOLTAGE_LIMIT"],
        soc_low_warning_pct=values["SOC_LOW_WARNING"],
        soc_low_alarm_pct=values["SOC_LOW_ALARM"],
        soc_imbalance_pct=imbalance_pct,
        midpoint=values["MIDPOINT_ENABLE"],
        cell_data_format=values["BATTERY_CELL_DATA_FORMAT"],
        time_to_soc_points=tuple(dict.fromkeys(values["TIME_TO_SOC_POINTS"])),
        time_to_soc_type=values["TIME_TO_SOC_VALUE_TYPE"],
        time_to_soc_cycles=values["TIME_TO_SOC_LOOP_CYCLES"],
        time_to_soc_passed=values["TIME_TO_SOC_INC_FROM"],
        published_options=dict(published),
    )


_PUBLISHED = (
    "LINEAR_LIMITATION_ENABLE", "MAX_BATTERY_CHARGE_CURRENT", "MAX_BATTERY_DISCHARGE_CURRENT",
    "SOC_IMBALANCE_DETECTION_ENABLE", "SOC_IMBALANCE_THRESHOLD", "CCCM_CV_ENABLE", "DCCM_CV_ENABLE",
    "CELL_VOLTAGES_WHILE_CHARGING", "MAX_CHARGE_CURRENT_CV", "CELL_VOLTAGES_WHILE_DISCHARGING",
    "MAX_DISCHARGE_CURRENT_CV", "CCCM_T_ENABLE", "DCCM_T_ENABLE", "TEMPERATURE_LIMITS_WHILE_CHARGING",
    "MAX_CHARGE_CURRENT_T", "TEMPERATURE_LIMITS_WHILE_DISCHARGING", "MAX_DISCHARGE_CURRENT_T",
    "PENALTY_AT_CELL_VOLTAGE", "PENALTY_BATTERY_VOLTAGE", "MIN_CELL_VOLTAGE", "MAX_CELL_VOLTAGE",
    "FLOAT_CELL_VOLTAGE", "MAX_VOLTAGE_TIME_SEC", "SOC_LEVEL_TO_RESET_VOLTAGE_LIMIT", "CCCM_SOC_ENABLE",
    "DCCM_SOC_ENABLE", "CC_SOC_LIMIT1", "CC_SOC_LIMIT2", "CC_SOC_LIMIT3", "CC_CURRENT_LIMIT1", "CC_CURRENT_LIMIT2",
    "CC_CURRENT_LIMIT3", "DC_SOC_LIMIT1", "DC_SOC_LIMIT2", "DC_SOC_LIMIT3", "DC_CURRENT_LIMIT1", "DC_CURRENT_LIMIT2",
    "DC_CURRENT_LIMIT3", "CVCM_ENABLE", "MIDPOINT_ENABLE", "SOC_LOW_WARNING", "SOC_LOW_ALARM", "BATTERY_CAPACITY",
    "INVERT_CURRENT_MEASUREMENT", "TIME_TO_SOC_POINTS", "TIME_TO_SOC_VALUE_TYPE", "TIME_TO_SOC_LOOP_CYCLES",
    "TIME_TO_SOC_INC_FROM", "BATTERY_CELL_DATA_FORMAT", "PUBLISH_CONFIG_VALUES", "BMS_TYPE",
)  # fmt: skip
"""What ``/Info/Config`` has shown since the first driver. No option of this program that could name a secret."""


def published_options(values: Values, *, version: str, subversion: str = "") -> Dict[str, Any]:
    """``/Info/Config`` by name; empty when the owner does not want it. Fractions are shown as amperes."""
    if not values["PUBLISH_CONFIG_VALUES"]:
        return {}
    shown: Dict[str, Any] = {"DRIVER_VERSION": version, "DRIVER_SUBVERSION": subversion}
    for name in _PUBLISHED:
        shown[name] = _plain(values[name] if name in OPTIONS else _amperes(values, name))
    return shown


def _amperes(values: Values, name: str) -> Any:
    most_a = values[_DISCHARGE if name.startswith(("DC_", "MAX_DISCHARGE")) else _CHARGE]
    fraction = values[name + "_FRACTION"]
    if isinstance(fraction, tuple):
        return tuple(round(each * most_a, 3) for each in fraction)
    return round(fraction * most_a, 3)


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, tuple):
        floats: List[float] = [float(each) for each in value]
        return floats
    return value
