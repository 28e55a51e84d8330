"""Minutes, quarters and days of readings: what is counted, what is left out, and that every tier adds up."""

from core.events import LinkLost, ReadingTaken, SessionStarted
from core.history import DAY, MINUTE, QUARTER, TIERS, Bucket, History, Place, Stat
from tests.core.made import BATTERY, CONFIGURATION, basic, cells, event

CELLS_MV = (3300, 3310, 3290, 3305)


def pack_frame(*, current_ma=1000, soc_pct=50, balancing=0, temperatures_dc=(200,)):
    """A JBD answer 03 of a 4S battery."""
    return basic(
        voltage_mv=13_200,
        current_ma=current_ma,
        soc_pct=soc_pct,
        balance=(balancing, 0),
        temperatures_dc=temperatures_dc,
    )


def cell_frame(*cells_mv):
    """A JBD answer 04."""
    return cells(*cells_mv or CELLS_MV)


def folded(*timed):
    """A history that saw a session start at 0 s and then frames at their seconds."""
    history = History()
    facts = [(0, SessionStarted("t", CONFIGURATION.to_payload()))]
    facts += [(at_s, ReadingTaken(BATTERY, "jbd", frame)) for at_s, frame in timed]
    for number, (at_s, fact) in enumerate(facts, 1):
        history.fold(event(fact, at_s, number=number))
    return history


def test_a_minute_of_readings():
    """Lowest, highest, sum and count of everything, in the units of the names."""
    history = folded(
        (1, pack_frame(current_ma=1000)), (1.1, cell_frame()), (6, pack_frame(current_ma=-500, soc_pct=49)),
        (6.1, cell_frame(3200, 3310, 3290, 3305)),
    )  # fmt: skip
    (dated,) = history.open_buckets(MINUTE)
    bucket = dated.bucket
    assert (dated.place, dated.battery, history.closed) == (Place(1, 0), BATTERY, [])
    assert bucket.current_ma == Stat(2, -500, 1000, 500)
    assert bucket.soc_permille == Stat(2, 490, 500, 990)
    assert bucket.voltage_mv == Stat(2, 13_200, 13_200, 26_400)
    assert bucket.spread_mv == Stat(2, 20, 110, 130)
    assert bucket.cells_mv[0] == Stat(2, 3200, 3300, 6500)
    assert bucket.cells_mv[2] == Stat(2, 3290, 3290, 6580)
    assert bucket.temperatures_dc == [Stat(2, 200, 200, 400)]
    assert bucket.mean_cell_mv == (3250 + 3310 + 3290 + 3305) / 4


def test_time_spent_balancing():
    """The time between two answers goes as the first one said; a silence is nobody's."""
    history = folded(
        (10, pack_frame(balancing=0b101)), (10.1, cell_frame()), (15, pack_frame(balancing=0b1)), (15.1, cell_frame()),
        (20, pack_frame()), (20.1, cell_frame()), (25, pack_frame(balancing=0b1)), (25.1, cell_frame()),
        (50, pack_frame()),
    )  # fmt: skip
    assert history.open_buckets(MINUTE)[0].bucket.balancing_ms == {1: 10_000, 3: 5_000}


def test_what_cannot_be_true_is_not_counted():
    """A broken sense wire has no voltage and the battery no spread; an what is impossible are left out."""
    history = folded(
        (1, pack_frame(soc_pct=101, temperatures_dc=(200, 30_000))), (1.1, cell_frame(3300, 3310, 0, 3305))
    )
    bucket = history.open_buckets(MINUTE)[0].bucket
    assert bucket.soc_permille == Stat()
    assert bucket.spread_mv == Stat()
    assert [cell.count for cell in bucket.cells_mv] == [1, 1, 0, 1]
    assert [sensor.count for sensor in bucket.temperatures_dc] == [1]
    assert bucket.mean_cell_mv == (3300 + 3310 + 3305) / 3


def test_a_bucket_closes_with_the_first_event_after_it():
    """Any event does; empty minutes leave nothing; quarters and days follow from minutes."""
    history = folded((1, cell_frame()), (61, cell_frame()))
    history.fold(event(LinkLost(BATTERY, "dropped"), 930, number=9))
    assert [(each.tier, each.place.bucket) for each in history.closed] == [(MINUTE, 0), (MINUTE, 1), (QUARTER, 0)]
    assert history.open_since == 9
    quarter = history.closed[-1].bucket
    assert quarter.cells_mv[0] == Stat(2, 3300, 3300, 6600)
    assert history.open_buckets(DAY)[0].bucket == quarter
    assert history.open_buckets(MINUTE) == []


def test_another_boot_closes_everything():
    """Whatever its uptime is; nothing of the former boot is merged with it."""
    history = folded((1, cell_frame()))
    started = SessionStarted("t", CONFIGURATION.to_payload())
    history.fold(event(started, 1, number=5, boot=2))
    history.fold(event(ReadingTaken(BATTERY, "jbd", cell_frame()), 2, number=6, boot=2))
    assert [each.tier for each in history.closed] == list(TIERS)
    assert {each.place for each in history.closed} == {Place(1, 0)}
    assert [each.place for each in history.open_buckets(DAY)] == [Place(2, 0)]


def test_buckets_add_up():
    """Merging two is counting the samples of both, of sensors and cells that only one has too."""
    one, other = Bucket(), Bucket()
    one.cells_mv, other.cells_mv = [Stat(1, 5, 5, 5)], [Stat(2, 3, 4, 7), Stat(1, 9, 9, 9)]
    one.balancing_ms, other.balancing_ms = {1: 5}, {1: 5, 2: 1}
    one.merge(other)
    assert one.cells_mv == [Stat(3, 3, 5, 12), Stat(1, 9, 9, 9)]
    assert one.balancing_ms == {1: 10, 2: 1}
    assert other.cells_mv == [Stat(2, 3, 4, 7), Stat(1, 9, 9, 9)], "nothing is shared between the two"


def test_a_battery_that_is_not_configured_is_passed_by():
    """A reading of somebody else's battery, and readings before any session."""
    history = History()
    history.fold(event(ReadingTaken(BATTERY, "jbd", cell_frame()), 1, number=1))
    assert history.open_buckets(MINUTE) == []
