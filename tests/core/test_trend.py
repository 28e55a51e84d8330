"""Trends: what may be asked, and an answer that is true, thinned without losing an extreme, and never too long."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.configuration import BatteryConfiguration
from core.history import DAY, MINUTE, QUARTER, Bucket, DatedBucket, Place, Stat
from core.trend import MAX_BYTES, BadRequest, Trend, answer_with, default_request, error_answer, parse_request

ONE = BatteryConfiguration("ble_a4c137000001", "A4:C1:37:00:00:01")
TWO = BatteryConfiguration("ble_a4c137000002", "A4:C1:37:00:00:02")
NOW_US = 1_767_225_600_000_000 + 30_000_000  # half a minute past midnight
NOW_MINUTE = NOW_US // 60_000_000


def stat(*values):
    """The statistics of *values*."""
    counted = Stat()
    for value in values:
        counted.add(value)
    return counted


def dated(bucket, at, *, tier=MINUTE, battery=ONE, boot=1):
    """*bucket* as the one numbered *at* of its boot."""
    return DatedBucket(tier, Place(boot, at), battery.battery, bucket)


def trend(batteries=(ONE,), **fields):
    """The trend of a request with *fields*, now."""
    return Trend(parse_request(json.dumps(fields), batteries), NOW_US)


def answered(asked, id="x"):
    """The answer as a client reads it."""
    text = answer_with(id, asked.body())
    assert len(text.encode("utf-8")) <= MAX_BYTES
    return json.loads(text)


@pytest.mark.parametrize(
    ("text", "id", "reason"),
    [
        ("", "", "not JSON"),
        ("{", "", "not JSON"),
        ("[" * 1024, "", "not JSON"),
        ('{"id":1,"hours":NaN}', "", "not JSON"),
        ("[]", "", "not a JSON object"),
        ("7", "", "not a JSON object"),
        ('{"id":true}', "", "id has to be"),
        ('{"id":null}', "", "id has to be"),
        ('{"id":{}}', "", "id has to be"),
        ('{"id":1e999}', "", "id has to be"),
        ('{"id":"%s"}' % ("x" * 65), "", "id has to be"),
        ('{"id":%s}' % ("1" * 65), "", "id has to be"),
        ('{"id":1%s}' % ("0" * 400), "", "id has to be"),
        ('{"id":7,"hours":0}', 7, "hours has to be"),
        ('{"id":7,"hours":-1}', 7, "hours has to be"),
        ('{"id":7,"hours":87600.5}', 7, "hours has to be"),
        ('{"id":7,"hours":1e999}', 7, "hours has to be"),
        ('{"id":7,"hours":true}', 7, "hours has to be"),
        ('{"id":7,"hours":"24"}', 7, "hours has to be"),
        ('{"id":7,"series":"voltage"}', 7, "spread, cells, soc, current, temperature"),
        ('{"id":7,"series":["soc"]}', 7, "series has to be"),
        ('{"id":"a","battery":3}', "a", "1 (A4:C1:37:00:00:01); 2 (A4:C1:37:00:00:02)"),
        ('{"id":"a","battery":0}', "a", "no battery 0"),
        ('{"id":"a","battery":1.5}', "a", "no battery 1.5"),
        ('{"id":"a","battery":1e999}', "a", "no battery"),
        ('{"id":"a","battery":"nobody"}', "a", 'no battery "nobody"'),
        ('{"id":"a","battery":true}', "a", "battery has to be"),
        ('{"id":"a","battery":[1]}', "a", "battery has to be"),
        ('{"id":"a","series":"cells"}', "a", "give battery as one of 1 (A4:C1:37:00:00:01); 2 ("),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(text, id, reason):
    """With the id, where that could be read, and within the size of any answer."""
    with pytest.raises(BadRequest) as caught:
        parse_request(text, (ONE, TWO))
    assert caught.value.id == id
    assert reason in caught.value.reason
    assert json.loads(error_answer(id, caught.value.reason)) == {"id": id, "error": caught.value.reason}


@given(st.text(max_size=64), st.text())
def test_an_error_is_never_too_long(id, reason):
    """Whatever is in it."""
    text = error_answer(id, reason * 50)
    assert len(text.encode("utf-8")) <= MAX_BYTES
    assert json.loads(text)["id"] == id


@pytest.mark.parametrize(
    "battery", [2, 2.0, "A4:C1:37:00:00:02", "a4:c1:37:00:00:02", "ble_a4c137000002", "BLE_A4C137000002"]
)
def test_a_battery_by_place_address_or_name(battery):
    """The answer says it as it was asked, and names the line by its place."""
    answer = answered(trend((ONE, TWO), battery=battery))
    assert (answer["battery"], answer["names"]) == (battery, ["2"])


def test_what_is_left_out_is_the_default():
    """No field is needed: spread of all batteries over a day."""
    assert parse_request("{}", (ONE, TWO)).question == default_request((ONE, TWO)).question
    answer = answered(trend((ONE, TWO)))
    assert (answer["battery"], answer["series"], answer["names"]) == (None, "spread", ["1", "2"])
    assert default_request((ONE,)).id == "default"


@pytest.mark.parametrize("id", ["", "ä" * 64, "\ud800", 7, -1.5, "\U0001f50b" * 64])
def test_the_id_comes_back(id):
    """As the string or number it was, and it changes nothing else."""
    asked = trend(id=id, hours=1)
    assert asked.request.id == id
    assert answered(asked, id)["id"] == id


@pytest.mark.parametrize(
    ("series", "unit", "divisor", "low", "high"),
    [
        ("spread", "mV", 1, 5, 12),
        ("soc", "%", 10, 480, 500),
        ("current", "A", 10, -13, 250),
        ("temperature", "C", 10, -40, 310),
    ],
)
def test_series_of_whole_batteries(series, unit, divisor, low, high):
    """Integers in the unit over the divisor; the coldest and the hottest of all sensors."""
    bucket = Bucket(stat(5, 12), stat(480, 500), stat(13_000), stat(-1_260, 25_040), [stat(-40, 2), Stat(), stat(310)])
    asked = trend((ONE, TWO), series=series, hours=0.05)
    asked.add(dated(bucket, NOW_MINUTE - 1, battery=TWO), 0)
    answer = answered(asked)
    assert (answer["unit"], answer["divisor"], answer["step"]) == (unit, divisor, 60)
    assert answer["start"] == (NOW_MINUTE - 3) * 60
    assert answer["min"] == [[None] * 4, [None, None, low, None]]
    assert answer["max"] == [[None] * 4, [None, None, high, None]]


def test_cells_are_told_from_the_mean_of_their_battery():
    """Mean less mean, rounded; a cell that is not known has no offset."""
    bucket = Bucket(cells_mv=[stat(3300, 3301), stat(3310), Stat(), stat(3320)])
    asked = trend(series="cells", hours=0.01)
    asked.add(dated(bucket, NOW_MINUTE), 0)
    answer = answered(asked)
    assert answer["names"] == ["1", "2", "3", "4"]
    assert [line[-1] for line in answer["min"]] == [-10, 0, None, 10]
    assert answer["max"] == answer["min"]


def test_nothing_known_is_null():
    """No bucket, and buckets without a value; no cell was ever seen."""
    asked = trend(hours=0.03, series="temperature")
    asked.add(dated(Bucket(temperatures_dc=[Stat()]), NOW_MINUTE), 0)
    assert answered(asked)["min"] == [[None, None, None]]
    assert answered(trend(series="cells"))["names"] == []


@pytest.mark.parametrize(
    ("hours", "tier"), [(0.1, MINUTE), (24, MINUTE), (24.1, QUARTER), (744, QUARTER), (745, DAY), (87_600, DAY)]
)
def test_which_tier(hours, tier):
    """A day of minutes, a month of quarters, else days; the step is a multiple of theirs, and the start of the step."""
    asked = trend(hours=hours)
    answer = answered(asked)
    assert asked.tier is tier
    assert answer["step"] % tier.seconds == 0
    assert answer["start"] % answer["step"] == 0
    assert answer["start"] <= NOW_US / 1e6 - hours * 3600
    assert answer["start"] + answer["step"] * len(answer["min"][0]) > NOW_US / 1e6


def test_points_are_dated_by_the_clock():
    """A boot's wall offset moves its buckets; what lies outside the time asked for is left out."""
    asked = trend(hours=1)
    for boot, at, offset_us in ((1, 5, (NOW_MINUTE - 10) * 60_000_000 + 7), (2, 0, NOW_US - 60_000_000)):
        asked.add(dated(Bucket(stat(at)), at, boot=boot), offset_us)
    for at in (NOW_MINUTE - 61, NOW_MINUTE + 1):
        asked.add(dated(Bucket(stat(99)), at), 0)
    asked.add(dated(Bucket(stat(99)), 10, boot=3), 0)  # in 1970
    asked.add(dated(Bucket(stat(99)), NOW_MINUTE, battery=TWO), 0)
    (line,) = answered(asked)["max"]
    assert len(line) == 61
    assert {place: value for place, value in enumerate(line) if value is not None} == {55: 5, 59: 0}


@given(st.integers(-(2**60), 2**60), st.floats(0.001, 87_600))
def test_the_stretch_of_a_boot(offset_us, hours):
    """Exactly the buckets that count."""
    asked = trend(hours=hours)
    first, stop = asked.stretch(offset_us)
    for at in {0, max(first - 1, 0), first, max(stop - 1, 0), stop}:
        points = len(asked._points)
        asked.add(dated(Bucket(stat(1)), at, tier=asked.tier), offset_us)
        assert (len(asked._points) > points) == (first <= at < stop)
        asked._points.clear()


def test_thinning_keeps_every_extreme():
    """A day of minutes of three batteries does not fit: fewer points, the same extremes at the right time."""
    batteries = [BatteryConfiguration("b{}".format(n), str(n)) for n in range(3)]
    asked = trend(batteries)
    for at in range(NOW_MINUTE - 1440, NOW_MINUTE + 1):
        for battery in batteries:
            asked.add(dated(Bucket(stat(10, 999 if at == NOW_MINUTE - 700 else 20)), at, battery=battery), 0)
    answer = answered(asked)
    assert answer["step"] == 240
    assert {min(line) for line in answer["min"]} == {10}
    for line in answer["max"]:
        assert max(line) == 999 and line.count(999) == 1
        begin = answer["start"] + line.index(999) * answer["step"]
        assert begin <= (NOW_MINUTE - 700) * 60 < begin + answer["step"]


def test_as_many_points_as_fit():
    """One battery's hour is not thinned at all."""
    assert answered(trend(hours=1))["step"] == 60


def test_too_many_batteries_for_one_answer():
    """The last resort: an error that says what helps."""
    batteries = [BatteryConfiguration("b{}".format(n), str(n)) for n in range(2000)]
    with pytest.raises(BadRequest, match="ask for one battery"):
        trend(batteries, id=1, hours=1).body()


stats = st.lists(st.integers(-(2**33), 2**33), max_size=3).map(lambda values: stat(*values))
buckets = st.builds(
    Bucket, stats, stats, stats, stats, st.lists(stats, max_size=4), st.lists(stats, max_size=32)
)  # fmt: skip


@given(
    st.lists(st.tuples(buckets, st.integers(0, 2000), st.sampled_from((ONE, TWO))), max_size=30),
    st.floats(0.001, 87_600),
    st.sampled_from(("spread", "soc", "current", "temperature", "cells")),
)
def test_an_answer_is_never_too_long_and_loses_no_extreme(counted, hours, series):
    """Any buckets, any hours."""
    chosen = {"battery": 1} if series == "cells" else {}
    asked, every = trend((ONE, TWO), hours=hours, series=series, **chosen), []
    for bucket, back, battery in counted:
        at = NOW_US // (asked.tier.seconds * 1_000_000) - back
        alone = trend((ONE, TWO), hours=hours, series=series, **chosen)
        for one in (asked, alone):
            one.add(dated(bucket, at, tier=asked.tier, battery=battery), 0)
        every += [known for lines in alone._points.values() for known in lines.values()]
    answer = answered(asked, "\U0001f50b" * 64)
    lows = [value for line in answer["min"] for value in line if value is not None]
    highs = [value for line in answer["max"] for value in line if value is not None]
    assert len(answer["min"]) == len(answer["max"]) == len(answer["names"])
    assert min(lows, default=None) == min((low for low, _ in every), default=None)
    assert max(highs, default=None) == max((high for _, high in every), default=None)
