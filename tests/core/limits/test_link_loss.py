"""Limits while a battery is silent and on its way back: venus-dbus D.4, second by second.

The last answer comes at second 0: STALE from 16, LOST from 121, GONE from 361.
"""

import pytest

from core.limits.profile import ChargeProfile
from core.presence import Phase
from tests.core.limits.house import House, parallel, series
from tests.core.physics import Pack, Site

COOL = {"temperatures_dc": (120, 120)}
"""Charging 0.4, discharging 0.4 of the maximum: 28 A and 36 A."""
HOUSES = {"single": House, "series": series, "parallel": parallel}


def silent(house, seconds):
    """(cvl, ccl, dcl) at every second of a silence of all batteries."""
    house.answers = [False] * len(house.answers)
    return house.each_second(seconds, lambda limits: (limits.voltage.value, limits.ccl_ma, limits.dcl_ma))


def speaking(house, seconds):
    """The same while all answer."""
    house.answers = [True] * len(house.answers)
    return house.each_second(seconds, lambda limits: (limits.voltage.value, limits.ccl_ma, limits.dcl_ma))


def column(rows, index):
    """One of the three."""
    return [row[index] for row in rows]


@pytest.fixture(params=sorted(HOUSES))
def house(request):
    """One battery, two in series or two in parallel, in bulk for 10 s."""
    made = HOUSES[request.param]()
    made.step(10)
    return made


def bulk_and_float(house):
    """Of its string or strings."""
    cells = 8 if house.bank.series else 4
    return cells * 3450, cells * 3350


def test_voltage_is_held_15_s_and_then_falls_to_float_by_the_end_of_the_hold(house):
    """STALE from 15 s on: held until 30 s, then a straight line that arrives at float at 120 s."""
    bulk_mv, float_mv = bulk_and_float(house)
    cvl_mv = column(silent(house, 400), 0)
    assert cvl_mv[:30] == [bulk_mv] * 30
    rate = (bulk_mv - float_mv) / 90
    assert cvl_mv[30:120] == pytest.approx([bulk_mv - rate * n for n in range(1, 91)])
    assert cvl_mv[119:] == pytest.approx([float_mv] * 281)


def test_voltage_comes_back_after_10_s_within_a_minute(house):
    """Back from LOST: 10 s at float, then 60 s of ramp to bulk."""
    bulk_mv, float_mv = bulk_and_float(house)
    silent(house, 200)
    cvl_mv = column(speaking(house, 75), 0)
    assert cvl_mv[:10] == [float_mv] * 10
    assert cvl_mv[10:70] == pytest.approx([float_mv + (bulk_mv - float_mv) / 60 * n for n in range(1, 61)])
    assert cvl_mv[69:] == pytest.approx([bulk_mv] * 6)


def test_voltage_comes_back_from_wherever_the_fall_had_led(house):
    """Back from STALE: the ramp starts at the value published last; another silence starts from there again."""
    bulk_mv, float_mv = bulk_and_float(house)
    last = silent(house, 75)[-1][0]
    assert last == pytest.approx((bulk_mv + float_mv) / 2)
    cvl_mv = column(speaking(house, 40), 0)
    assert cvl_mv[:10] == [last] * 10
    assert cvl_mv[39] == pytest.approx(last + (bulk_mv - last) / 2)
    assert column(silent(house, 30), 0)[16:] == pytest.approx([last + (bulk_mv - last) * 45 / 60] * 14)


def test_a_short_silence_changes_nothing(house):
    """Up to 15 s a battery is LIVE; nothing moves."""
    assert len(set(silent(house, 15) + speaking(house, 60))) == 1


def test_charge_current_while_silent(house):
    """STALE: 10 % of the maximum; LOST and GONE: 0; back: from 0 after 30 s by 5 A per second."""
    whole_ma = 140_000 if house.bank.parallel else 70_000
    ccl_ma = column(silent(house, 400), 1)
    assert ccl_ma[:15] == [whole_ma] * 15
    assert ccl_ma[15:120] == [whole_ma // 10] * 105
    assert ccl_ma[120:] == [0] * 280
    back_ma = column(speaking(house, 70), 1)
    assert back_ma[:30] == [0] * 30
    assert back_ma[30:33] == [5_000, 10_000, 15_000]
    assert back_ma[-1] == whole_ma


def test_charge_current_comes_back_from_what_was_published(house):
    """Back from STALE it rises from a tenth, not from 0 and not at once."""
    silent(house, 60)
    tenth_ma = 14_000 if house.bank.parallel else 7_000
    back_ma = column(speaking(house, 40), 1)
    assert back_ma[:30] == [tenth_ma] * 30
    assert back_ma[30] == tenth_ma + 5_000


def test_a_limit_below_a_tenth_stays_while_silent():
    """CCL := min(last, 10 % of the maximum)."""
    made = House()
    made.fields[0] = {"temperatures_dc": (10, 10)}
    made.step(5)
    assert set(column(silent(made, 110), 1)) == {3_500}


def test_what_was_just_rising_does_not_rise_while_silent():
    """The last published value counts, not what the tables would allow."""
    made = House()
    made.fields[0] = {"charge_fet_on": False}
    made.step(5)
    made.fields[0] = {}
    made.step(31)
    assert made.ccl_a == 5
    made.silence(15)
    held_a = made.ccl_a
    assert max(column(silent(made, 100), 1)) == min(7_000, held_a * 1000)


def test_discharge_current_is_held_through_everything(house):
    """DCL does not move in STALE, LOST and GONE, and never passes 0 on the way back."""
    house.fields[:] = [COOL] * len(house.fields)
    house.step(5)
    held_ma = house.limits.dcl_ma
    assert held_ma == (72_000 if house.bank.parallel else 36_000)
    assert set(column(silent(house, 500), 2)) == {held_ma}
    assert house.bank.phase is Phase.GONE
    assert set(column(speaking(house, 120), 2)) == {held_ma}


def test_discharge_current_goes_on_from_the_value_held():
    """What the tables now allow is approached by 20 A per second from what was held."""
    made = House()
    made.fields[0] = COOL
    made.step(5)
    silent(made, 400)
    made.fields[0] = {}
    assert column(speaking(made, 4), 2) == [56_000, 76_000, 90_000, 90_000]


def test_discharge_falls_at_once_for_what_the_first_answer_says():
    """A protective cause is honoured in the first tick back."""
    made = House()
    made.step(5)
    silent(made, 400)
    made.fields[0] = {"discharge_fet_on": False}
    assert column(speaking(made, 1), 2) == [0]


def test_block_discharge_on_loss(house):
    """Only if the owner wants it so: 0 from LOST on, for that named cause, and a ramp on the way back."""
    blocked = HOUSES[house.configuration.topology](block_discharge_on_loss=True)
    blocked.step(5)
    whole_ma = blocked.limits.dcl_ma
    dcl_ma = column(silent(blocked, 400), 2)
    assert (set(dcl_ma[:120]), set(dcl_ma[120:])) == ({whole_ma}, {0})
    assert blocked.limits.discharge.stops
    assert "BLOCK_DISCHARGE_ON_LOSS" in blocked.limits.discharge.text()
    assert column(speaking(blocked, 2), 2) == [20_000, 40_000]


def test_a_stop_from_before_the_silence_stays():
    """A battery that was switched off and then lost does not come on by being lost."""
    made = House()
    made.fields[0] = {"discharge_fet_on": False}
    made.step(5)
    assert set(column(silent(made, 400), 2)) == {0}
    assert made.limits.discharge.stops


@pytest.mark.parametrize("mode", ["single", "series", "parallel"])
def test_start_values_have_no_ramp(mode):
    """At a first registration all three limits are the computed values at once."""
    made = HOUSES[mode]()
    first = made.step()
    assert (first.cvl_mv, first.ccl_ma, first.dcl_ma) == {
        "single": (13_800, 70_000, 90_000), "series": (27_600, 70_000, 90_000), "parallel": (13_800, 140_000, 180_000),
    }[mode]  # fmt: skip


@pytest.mark.parametrize("number", [1, 2])
def test_one_silent_member_silences_a_series_bank(number):
    """V1: never part of a string: full voltage of all 16 cells while held, its full float when lost."""
    made = series([3300] * 8, [3300] * 8)
    made.step(5)
    made.answers[number - 1] = False
    rows = made.each_second(150, lambda limits: (limits.cvl_mv, limits.ccl_ma, limits.dcl_ma))
    assert rows[29] == (55_200, 7_000, 90_000)
    assert rows[-1] == (53_600, 0, 90_000)
    assert min(column(rows, 0)) == 53_600


def test_a_high_cell_of_before_stays_below_float():
    """A limit that a high cell had brought below float does not rise to float by being lost."""
    made = House(
        [3300, 3300, 3300, 3480], state={"phase": "Float", "absorbed_s": {}, "float_target_mv": {"b1": 13_400}}
    )
    assert made.step(5).cvl_mv == 13_360
    assert set(column(silent(made, 400), 0)) == {13_360}


def test_after_a_link_loss_the_voltage_comes_back_by_the_rule_of_the_link():
    """Section 5, CVL 3: after a link loss D.4 (10 s, then within 60 s) stands instead of the high cell's recovery."""
    made = House(
        [3300, 3300, 3300, 3480], state={"phase": "Float", "absorbed_s": {}, "float_target_mv": {"b1": 13_400}}
    )
    made.step(5)
    silent(made, 200)
    made.cells[0] = [3300] * 4
    assert column(speaking(made, 72), 0)[-1] == 13_400


def test_a_longer_hold_only_inside_the_safe_window():
    """HOLD_SECONDS above 120 counts only if all cells were between 3.20 and 3.40 V and no sensor was hot or cold."""
    for cells_mv, fields, zero_from in (
        ([3300] * 4, {}, 601),
        ([3300, 3300, 3300, 3410], {}, 121),
        ([3190, 3300, 3300, 3300], {}, 121),
        ([3300] * 4, {"temperatures_dc": (250, 410)}, 121),
        ([3300] * 4, {"temperatures_dc": (40, 250)}, 121),
        ([3300, 3300, 3300, 0], {}, 121),
    ):
        made = House(cells_mv, hold_seconds=600)
        made.fields[0] = fields
        made.step(5)
        assert column(silent(made, 700), 1).index(0) + 1 == zero_from


def test_an_empty_profile_of_a_lost_battery_is_not_a_stop():
    """Nothing but a named cause makes DCL 0: not even a discharge limit of a few milliamperes."""
    made = House(profiles=[ChargeProfile(max_discharge_ma=20)])
    made.step(5)
    assert set(column(silent(made, 400), 2)) == {100}


def test_gone_and_back_on_the_bus():
    """The service leaves after 360 s and joins again with what it held, from real frames."""
    site = Site([Pack("a", [50.0] * 4, temperatures_dc=(120, 120))])
    site.step(20)
    site.packs[0].answers = False
    site.step(400)
    assert not site.on_bus
    site.packs[0].answers = True
    site.step(6)
    assert site.on_bus
    assert (site.cvl_v, site.ccl_a, site.dcl_a) == (13.4, 0, 36)
    site.step(120)
    assert (site.cvl_v, site.ccl_a, site.dcl_a) == (13.8, 28, 36)


def test_zero_held_in_a_silence_names_its_cause():
    """DCL 0 has a named protective cause in the same publication, also when that ended while another was silent."""
    made = series()
    made.fields[0] = {"discharge_fet_on": False}
    made.step(5)
    made.answers[1] = False
    made.step(30)
    made.fields[0] = {}
    made.step()
    assert made.dcl_a > 0 or (made.limits.discharge.stops and "switch" in made.limits.discharge.text())
