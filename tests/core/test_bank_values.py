"""A bank as a whole: sums that are whole, extremes that are true, what may be held. Charge-control 6 and 7.3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bank_values import values_of
from core.configuration import PARALLEL, SERIES, SINGLE, BatteryConfiguration
from tests.core.banks import TOPOLOGIES, Story, bank, known, member, values
from tests.core.made import basic, cells

SMALL = {"nominal_mah": 100_000, "remaining_mah": 80_000, "soc_pct": 80}
LARGE = {"nominal_mah": 300_000, "remaining_mah": 120_000, "soc_pct": 40}
LOW, HIGH = (3300, 3301, 3302, 3307), (3310, 3311, 3312, 3317)
"""13.21 and 13.25 V."""
cell_mv = st.integers(2500, 3600)
packs = st.lists(st.lists(cell_mv, min_size=4, max_size=4).map(tuple), min_size=2, max_size=4)


def test_parallel_voltage_is_weighed_by_capacity():
    """One bus bar: the larger battery tells more."""
    assert values(PARALLEL, member(LOW, **SMALL), member(HIGH, **LARGE)).voltage_mv == (13_210 + 3 * 13_250) / 4


def test_parallel_voltage_without_capacities_is_the_mean():
    """Where one capacity is unknown, all weigh the same."""
    assert values(PARALLEL, member(LOW, nominal_mah=0), member(HIGH, **LARGE)).voltage_mv == 13_230


def test_a_silent_battery_does_not_weigh():
    """Only live members tell the voltage."""
    assert values(PARALLEL, member(LOW, **SMALL), member(HIGH, **LARGE), ages_s=(0, 20)).voltage_mv == 13_210


def test_series_voltage_is_the_sum():
    """V1: all of it, or none."""
    members = [member(LOW), member(HIGH)]
    assert values(SERIES, *members).voltage_mv == 26_460
    assert values(SERIES, *members, ages_s=(0, 16)).voltage_mv is None


@given(packs, st.data())
def test_no_partial_sum_of_a_string(cells_mv, data):
    """V1: with one member silent there is no voltage, no sum, no spread, no extreme cell and no midpoint."""
    silent = data.draw(st.integers(0, len(cells_mv) - 1))
    ages_s = [20 if n == silent else 0 for n in range(len(cells_mv))]
    found = values(SERIES, *map(member, cells_mv), ages_s=ages_s, midpoint=True)
    whole = (found.voltage_mv, found.cells_sum_mv, found.cells_diff_mv, found.lowest_cell, found.highest_cell)
    assert (*whole, found.midpoint) == (None,) * 6
    assert found.current_ma == -5000


@given(packs)
def test_extremes_are_of_all_cells(cells_mv):
    """V3: in series and in parallel the lowest and highest cell anywhere, named by a place that holds it."""
    everything = [mv for pack in cells_mv for mv in pack]
    for topology in (SERIES, PARALLEL):
        found = values(topology, *map(member, cells_mv))
        assert (found.lowest_cell[0], found.highest_cell[0]) == (min(everything), max(everything))
        for mv, place in (found.lowest_cell, found.highest_cell):
            pack, _, cell = place[1:].partition("C") if topology == PARALLEL else ("1", "", place[1:])
            assert (cells_mv[int(pack) - 1] if topology == PARALLEL else everything)[int(cell) - 1] == mv
    assert found.cells_diff_mv == max(max(pack) - min(pack) for pack in cells_mv)
    assert found.cells_sum_mv == sum(everything) / len(cells_mv)


@pytest.mark.parametrize(
    ("topology", "high", "place"), [(SERIES, 3, "C11"), (PARALLEL, 2, "B2C3"), (SINGLE, 1, "C3"), (SERIES, 1, "C3")]
)
def test_where_the_highest_cell_is(topology, high, place):
    """Through the whole string, by battery in parallel, plain for one battery."""
    members = [
        member((3300, 3300, 3350 if n == high else 3300, 3300)) for n in range(1, 2 if topology == SINGLE else 4)
    ]
    assert values(topology, *members).highest_cell == (3350, place)


def test_numbering_counts_the_cells_of_unequal_batteries():
    """Member 1 has 8 cells, so the first of member 2 is C9."""
    assert values(SERIES, member((3300,) * 8), member((3350, 3300, 3300, 3300))).highest_cell == (3350, "C9")


def test_numbering_does_not_shift():
    """V1, C.9: a member that speaks of fewer cells for once does not take the numbers of the next."""
    story = Story(member(), member(), topology=SERIES).run(20)
    story.members[0] = (basic(cell_count=3), cells(3325, 3320, 3330, 3325))
    story.run(20)
    assert (story.items["/Voltages/Cell4"], story.items["/Voltages/Cell5"]) == (None, 3.325)


@pytest.mark.parametrize("topology", [SERIES, PARALLEL])
def test_a_count_in_dispute_hides_cells(topology):
    """Pack says 5 cells and 4 were sent: no extreme is claimed of anybody."""
    found = values(topology, member(), (basic(cell_count=5), cells()))
    assert (found.lowest_cell, found.highest_cell, found.cells_sum_mv, found.cells_diff_mv) == (None,) * 4


def test_coldest_and_hottest_are_true():
    """V2, B13: of all sensors of all live members, below -20 and above 100 degC too, more than two each."""
    cold, hot = member(temperatures_dc=(-250, 100, 200)), member(temperatures_dc=(50, 60, 70, 1100))
    found = values(PARALLEL, cold, hot)
    assert (found.coldest, found.hottest) == ((-250, "B1T1"), (1100, "B2T4"))
    assert found.temperature_dc == pytest.approx(190)
    later = values(PARALLEL, cold, hot, ages_s=(20, 0))
    assert (later.coldest, later.hottest) == ((50, "B2T1"), (1100, "B2T4"))


def test_parallel_current_is_the_sum_of_all():
    """With one member not live there is none."""
    members = [member(current_ma=-5000), member(current_ma=-7000), member(current_ma=1000)]
    assert values(PARALLEL, *members).current_ma == -11_000
    for ages_s in ((0, 20, 0), (0, 200, 0), (0, 0, 1000)):
        found = values(PARALLEL, *members, ages_s=ages_s)
        assert (found.current_ma, found.estimated) == (None, False)


@pytest.mark.parametrize(
    ("ages_s", "current_ma"), [((0, 200), None), ((200, 0), -9333), ((20, 0), -9333), ((0, 0), -12_000)]
)
def test_an_estimate_needs_half_of_the_capacity(ages_s, current_ma):
    """ESTIMATE_LOST: scaled by capacity, if at least half of it is live."""
    members = [member(current_ma=-5000, **SMALL), member(current_ma=-7000, **LARGE)]
    found = values(PARALLEL, *members, ages_s=ages_s, estimate_lost=True)
    assert found.current_ma == (None if current_ma is None else pytest.approx(current_ma, abs=1))
    assert found.estimated == (current_ma == -9333)


def test_exactly_half_is_enough():
    """Of two equal batteries one may be estimated; of unknown ones none."""
    assert values(PARALLEL, member(), member(), ages_s=(0, 20), estimate_lost=True).current_ma == -10_000
    assert values(PARALLEL, member(), None, estimate_lost=True).current_ma is None


@pytest.mark.parametrize(
    ("currents_ma", "median_ma"), [((100, 300), 200), ((100, 300, 9000), 300), ((-400, -100, -200, -8000), -300)]
)
def test_series_current_is_the_median(currents_ma, median_ma):
    """One wrong sensor does not move it much; of two it is the mean."""
    assert values(SERIES, *[member(current_ma=ma) for ma in currents_ma]).current_ma == median_ma


def test_parallel_state_of_charge_is_weighed_by_capacity():
    """80 % of 100 Ah and 40 % of 300 Ah are half of 400 Ah."""
    found = values(PARALLEL, member(**SMALL), member(**LARGE))
    assert (found.soc_permille, found.installed_mah, found.remaining_mah) == (500, 400_000, 200_000)
    assert found.consumed_mah == -200_000


@pytest.mark.parametrize(("age_s", "soc_permille"), [(20, 500), (1800, 500), (1800.1, 400), (2500, 400)])
def test_a_silent_state_of_charge_counts_for_half_an_hour(age_s, soc_permille):
    """Then the battery is left out, and the capacity of all stays what it is."""
    found = values(PARALLEL, member(**SMALL), member(**LARGE), ages_s=(age_s, 0))
    assert (found.soc_permille, found.installed_mah) == (soc_permille, 400_000)


def test_no_state_of_charge_without_its_weight():
    """V9: a member whose capacity nobody knows is not left out of the mean while it carries current."""
    found = values(PARALLEL, member(**SMALL), member(nominal_mah=0, soc_pct=10))
    assert (found.soc_permille, found.remaining_mah, found.consumed_mah) == (None, None, None)


def test_series_takes_the_worst():
    """SoC, capacity and what remains are each the smallest; what is missing follows from those."""
    found = values(SERIES, member(**SMALL), member(**LARGE))
    assert (found.soc_permille, found.installed_mah, found.remaining_mah) == (400, 100_000, 80_000)
    assert found.consumed_mah == -20_000
    held = values(SERIES, member(**SMALL), member(**LARGE), ages_s=(100, 0))
    assert (held.soc_permille, held.consumed_mah) == (400, -20_000)


def test_an_impossible_state_of_charge_is_unknown():
    """V12: what cannot be true is invalid, not what was before."""
    assert values(SERIES, member(), member(soc_pct=101)).soc_permille is None
    assert values(PARALLEL, member(soc_pct=101), member(soc_pct=40)).soc_permille == 400


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_capacity_of_a_battery_that_never_answered(topology):
    """CAPACITY, or its last reading of a former run; otherwise the capacity of all is unknown (D.4)."""
    if topology != PARALLEL:
        assert bank(topology, *[None] * (1 + (topology == SERIES))).phase.value == "START"
        return
    assert values(PARALLEL, member(), None).installed_mah is None
    assert values(PARALLEL, member(), None, remembered={"ble_2": 50_000}).installed_mah == 150_000
    configured = [known(1), known(2, capacity_mah=70_000)]
    found = values(PARALLEL, member(), None, configured=configured, remembered={"ble_2": 50_000})
    assert found.installed_mah == 170_000


def test_the_owner_knows_the_capacity_better():
    """CAPACITY before the BMS, BATTERY_CAPACITY only where the BMS says 0."""
    better = BatteryConfiguration("ble_1", "", capacity_mah=120_000, fallback_capacity_mah=50_000)
    guess = BatteryConfiguration("ble_1", "", fallback_capacity_mah=50_000)
    assert values(SINGLE, member(), configured=[better]).installed_mah == 120_000
    assert values(SINGLE, member(), configured=[guess]).installed_mah == 100_000
    assert values(SINGLE, member(nominal_mah=0), configured=[guess]).installed_mah == 50_000


@pytest.mark.parametrize(
    ("cells_mv", "midpoint"),
    [
        ((3300, 3310, 3320, 3330), (6610, 40 / 13260)),
        ((3300, 3310, 3320, 3330, 3340), (8270, 60 / 16600)),
        ((3300, 3310, 3320), None),
    ],
)
def test_midpoint(cells_mv, midpoint):
    """The lower half of the cells, half of the middle one with it; at least four cells."""
    found = values(SINGLE, member(cells_mv), midpoint=True).midpoint
    assert (found and (found.voltage_mv, found.deviation_pct)) == (
        midpoint and (midpoint[0], pytest.approx(midpoint[1] * 100))
    )


def test_midpoint_of_banks():
    """Of the whole string; in parallel of the battery whose halves differ most; only if asked for."""
    even, uneven = member((3300,) * 4), member((3300, 3300, 3310, 3310))
    assert values(SERIES, even, uneven, midpoint=True).midpoint.voltage_mv == 13_200
    assert values(PARALLEL, even, uneven, midpoint=True).midpoint.voltage_mv == 6600
    assert values(PARALLEL, even, uneven, midpoint=True).midpoint.deviation_pct == pytest.approx(20 / 13220 * 100)
    assert values(PARALLEL, even, uneven).midpoint is None


def test_balancing_is_of_anybody():
    """One balancing cell in any live battery."""
    assert values(PARALLEL, member(), member(balance=(4, 0))).balancing is True
    assert values(PARALLEL, member(), member(balance=(4, 0)), ages_s=(0, 20)).balancing is False
    assert values(PARALLEL, member(), member(), ages_s=(20, 20)).balancing is None


def test_nothing_is_known_of_silent_batteries():
    """B6, V12: what was measured goes with its reading; what may be held stays."""
    for topology in TOPOLOGIES:
        count = 1 if topology == SINGLE else 2
        found = values_of(bank(topology, *[member()] * count, ages_s=[100] * count), {})
        measured = (found.voltage_mv, found.current_ma, found.temperature_dc, found.coldest, found.cells_sum_mv)
        assert measured == (None,) * 5
        assert (found.soc_permille, found.consumed_mah) == (500, -50_000 * (2 if topology == PARALLEL else 1))
