"""What one battery tolerates, as its owner configured it. Voltages are those of a cell."""

from __future__ import annotations

from typing import Optional

from attrs import field, frozen

from core.limits.curves import Curve


@frozen
class ChargeProfile:
    """The defaults are those of ``default_config.ini``. A curve that is ``None`` is switched off."""

    max_charge_ma: int = 70_000
    max_discharge_ma: int = 90_000
    min_cell_mv: int = 2900
    max_cell_mv: int = 3450
    float_cell_mv: int = 3350
    absorption_s: int = 900
    """How long absorption lasts once the voltage is reached."""
    charge_by_cell_mv: Optional[Curve] = field(default=Curve(((3300, 1.0), (3450, 0.5), (3500, 0.05), (3550, 0.0))))
    discharge_by_cell_mv: Optional[Curve] = field(default=Curve(((2700, 0.0), (2800, 0.1), (2900, 0.5), (3100, 1.0))))
    charge_by_temperature_dc: Optional[Curve] = field(
        default=Curve(
            (
                (0, 0.0), (20, 0.1), (50, 0.2), (100, 0.4), (150, 0.8), (200, 1.0), (350, 1.0), (400, 0.4), (550, 0.0),
            )
        )
    )  # fmt: skip
    discharge_by_temperature_dc: Optional[Curve] = field(
        default=Curve(((-200, 0.0), (0, 0.2), (50, 0.3), (100, 0.4), (150, 1.0), (450, 1.0), (550, 0.0)))
    )
    charge_by_soc_permille: Optional[Curve] = field(default=Curve(((910, 1.0), (950, 0.5), (980, 0.3), (1000, 0.1))))
    discharge_by_soc_permille: Optional[Curve] = field(default=Curve(((100, 0.1), (200, 0.3), (300, 0.5), (350, 1.0))))
    penalty_mv: Curve = field(default=Curve(((3450, 10), (3550, 1000), (3600, 2000))))
    """By cell voltage: by how many mV one high cell lowers the voltage limit of its battery in linear mode."""
