"""The worked examples of the tables, to the digit, from real JBD frames; repaired where they were found defective."""

import pytest
from attrs import evolve

from core.configuration import BatteryConfiguration
from core.limits.one_battery import CurrentLimit
from core.limits.profile import ChargeProfile
from tests.core.made import basic, battery, cells
from tests.core.physics import Pack, Site

PROFILE = ChargeProfile()
OTHERS = {
    "charge_by_cell_mv": None,
    "discharge_by_cell_mv": None,
    "charge_by_temperature_dc": None,
    "discharge_by_temperature_dc": None,
    "charge_by_soc_permille": None,
    "discharge_by_soc_permille": None,
}


def fraction(table, *, charging, linear, cell_mv=3300, soc_pct=50, temperatures_dc=(250, 250)):
    """What one *table* alone makes of a reading of 4 cells."""
    profile = evolve(PROFILE, **{**OTHERS, table: getattr(PROFILE, table)})
    sibling_mv = 3350 if table == "discharge_by_cell_mv" else 3290
    voltages_mv = (sibling_mv, cell_mv, sibling_mv, sibling_mv)
    frames = (
        basic(voltage_mv=sum(voltages_mv), soc_pct=soc_pct, temperatures_dc=temperatures_dc),
        cells(*voltages_mv),
    )
    made = battery(*frames, configuration=BatteryConfiguration("a", "a", profile=profile))
    limit = CurrentLimit(made, 1, cells=len(made.cell_voltages_mv()), charging=charging, linear=linear)
    return limit.live(0).value / limit.max_ma


def check(table, charging, inputs, step, linear):
    """Both modes."""
    assert fraction(table, charging=charging, linear=False, **inputs) == pytest.approx(step, abs=5e-4)
    assert fraction(table, charging=charging, linear=True, **inputs) == pytest.approx(linear, abs=5e-4)


@pytest.mark.parametrize(
    ("cell_mv", "step", "linear"),
    [(3300, 1, 1), (3400, 1, 0.667), (3449, 1, 0.503), (3450, 0.5, 0.5), (3470, 0.5, 0.32), (3500, 0.05, 0.05),
     (3520, 0.05, 0.03), (3549, 0.05, 0.001), (3550, 0, 0), (3700, 0, 0)],
)  # fmt: skip
def test_charge_by_cell(cell_mv, step, linear):
    """The highest cell lowers the charge current, to 0 at 3.55 V and not before."""
    check("charge_by_cell_mv", True, {"cell_mv": cell_mv}, step, linear)


@pytest.mark.parametrize(
    ("cell_mv", "step", "linear"),
    [(2600, 0, 0), (2700, 0, 0), (2701, 0.1, 0.001), (2750, 0.1, 0.05), (2850, 0.5, 0.3), (2900, 1, 0.5),
     (3000, 1, 0.75), (3100, 1, 1), (3300, 1, 1)],
)  # fmt: skip
def test_discharge_by_cell(cell_mv, step, linear):
    """The lowest cell lowers the discharge current, to 0 at 2.70 V and not before."""
    check("discharge_by_cell_mv", False, {"cell_mv": cell_mv}, step, linear)


@pytest.mark.parametrize(
    ("celsius", "step", "linear"),
    [(-10, 0, 0), (0, 0, 0), (1, 0.05, 0.05), (2, 0.1, 0.1), (3, 0.1, 0.133), (5, 0.2, 0.2), (14, 0.4, 0.72),
     (15, 0.8, 0.8), (19, 0.8, 0.96), (20, 1, 1), (35, 1, 1), (37, 0.4, 0.76), (40, 0.4, 0.4), (47.5, 0.2, 0.2),
     (55, 0, 0), (70, 0, 0)],
)  # fmt: skip
def test_charge_by_temperature(celsius, step, linear):
    """C10: the stricter neighbour when hot as when cold (37 C: 0.4), and 0 only at 0 C and at 55 C (1 C: 0.05)."""
    temperatures_dc = (round(celsius * 10), 250)
    check("charge_by_temperature_dc", True, {"temperatures_dc": temperatures_dc}, step, linear)
    check("charge_by_temperature_dc", True, {"temperatures_dc": temperatures_dc[::-1]}, step, linear)


@pytest.mark.parametrize(
    ("celsius", "step", "linear"),
    [(-25, 0, 0), (-20, 0, 0), (-19.9, 0.001, 0.001), (-5, 0.15, 0.15), (0, 0.2, 0.2), (3, 0.2, 0.26), (5, 0.3, 0.3),
     (12, 0.4, 0.64), (15, 1, 1), (45, 1, 1), (46, 0.9, 0.9), (54, 0.1, 0.1), (55, 0, 0)],
)  # fmt: skip
def test_discharge_by_temperature(celsius, step, linear):
    """C10: 45.0 C does not cut a house off (46 C: 0.9); the stricter neighbour when cold (3 C: 0.2)."""
    temperatures_dc = (round(celsius * 10), 250)
    check("discharge_by_temperature_dc", False, {"temperatures_dc": temperatures_dc}, step, linear)


@pytest.mark.parametrize(
    ("soc_pct", "step", "linear"),
    [(90, 1, 1), (91, 1, 1), (92, 0.5, 0.875), (95, 0.3, 0.5), (97, 0.3, 0.367), (98, 0.1, 0.3), (99, 0.1, 0.2),
     (100, 0.1, 0.1)],
)  # fmt: skip
def test_charge_by_soc(soc_pct, step, linear):
    """A full battery is charged gently, never not at all for its state of charge alone."""
    check("charge_by_soc_permille", True, {"soc_pct": soc_pct}, step, linear)


@pytest.mark.parametrize(
    ("soc_pct", "step", "linear"),
    [(0, 0.1, 0.1), (10, 0.1, 0.1), (15, 0.3, 0.2), (25, 0.5, 0.4), (29, 0.5, 0.48), (30, 1, 0.5), (32, 1, 0.7),
     (35, 1, 1), (80, 1, 1)],
)  # fmt: skip
def test_discharge_by_soc(soc_pct, step, linear):
    """C6: the list has as many points as values; lines reach 1.0 five percent above LIMIT3 instead of jumping there."""
    check("discharge_by_soc_permille", False, {"soc_pct": soc_pct}, step, linear)


@pytest.mark.parametrize(
    ("temperatures_dc", "charge_a", "discharge_a"),
    [((250, 250), 70, 90), ((140, 250), 28, 36), ((370, 250), 28, 90), ((10, 250), 3.5, 18), ((460, 250), 16.8, 81)],
)
def test_published_currents_in_steps(temperatures_dc, charge_a, discharge_a):
    """B4: the tables reach the bus of a single battery, rounded to 0.1 A."""
    site = Site([Pack("a", [50.0] * 4, temperatures_dc=temperatures_dc)])
    site.step(10)
    assert (site.ccl_a, site.dcl_a) == (charge_a, discharge_a)


@pytest.mark.parametrize(
    ("temperatures_dc", "charge_a", "discharge_a"),
    [((250, 250), 70, 90), ((140, 250), 50.4, 79.2), ((370, 250), 53.2, 90), ((-50, 250), 0, 13.5)],
)
def test_published_currents_in_lines(temperatures_dc, charge_a, discharge_a):
    """B4: and in linear mode."""
    profile = ChargeProfile(charge_by_cell_mv=None)
    site = Site([Pack("a", [50.0] * 4, temperatures_dc=temperatures_dc, profile=profile)], linear=True)
    site.step(10)
    assert (site.ccl_a, site.dcl_a) == (charge_a, discharge_a)
