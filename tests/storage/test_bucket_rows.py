"""Packed buckets: the same back, small, in order of time, and never half a bucket."""

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from core.history import Bucket, Place, Stat
from storage.bucket_rows import FORMAT, HEAD, first_key, key_of, pack, place_and_battery, unpack, unpack_until

NUMBERS = st.integers(-(2**40), 2**40)
STATS = st.builds(
    lambda n, lowest, range_, rest: Stat(n, lowest, lowest + range_, n * lowest + rest) if n else Stat(),
    st.integers(0, 10**6), NUMBERS, st.integers(0, 2**33), st.integers(0, 2**50),
)  # fmt: skip
BUCKETS = st.builds(
    Bucket, STATS, STATS, STATS, STATS, st.lists(STATS, max_size=5), st.lists(STATS, max_size=32),
    st.dictionaries(st.integers(1, 32), st.integers(0, 10**8), max_size=5),
)  # fmt: skip


@given(BUCKETS)
def test_a_bucket_comes_back(bucket):
    """Every number, and equal buckets give equal bytes."""
    assert unpack(pack(bucket)) == bucket
    assert pack(unpack(pack(bucket))) == pack(bucket)


@given(BUCKETS, st.data())
def test_a_bucket_that_is_cut_off_is_refused(bucket, data):
    """A shorter row is an error, never other numbers."""
    packed = pack(bucket)
    with pytest.raises(ValueError, match="bucket of the history"):
        unpack(packed[: data.draw(st.integers(0, len(packed) - 1))])


@given(BUCKETS, st.integers(0, len(HEAD) - 1))
def test_a_part_of_a_bucket(bucket, last):
    """Everything up to the quantity that is wanted as in the whole, and nothing behind it."""
    wanted = {name: getattr(bucket, name) for name in HEAD[: last + 1]}
    assert unpack_until(pack(bucket), HEAD[last]) == Bucket(**wanted)


@given(BUCKETS, st.data())
def test_a_part_that_is_cut_off_is_refused(bucket, data):
    """As for the whole; only what lies behind it is not looked at."""
    head = len(pack(evolve(bucket, cells_mv=[], balancing_ms={}))) - 3  # no cells have two numbers, no balancing one
    with pytest.raises(ValueError, match="bucket of the history is cut off"):
        unpack_until(pack(bucket)[: data.draw(st.integers(0, head - 1))], "temperatures_dc")


def test_a_newer_format_is_refused():
    """Another first byte, as a later version would write."""
    with pytest.raises(ValueError, match="another format than 1"):
        unpack(bytes([FORMAT + 1]) + pack(Bucket())[1:])
    with pytest.raises(ValueError, match="another format than 1"):
        unpack_until(bytes([FORMAT + 1]) + pack(Bucket())[1:], "spread_mv")


def test_a_minute_of_sixteen_cells_is_small():
    """The budget of the flash: some hundred bytes."""
    bucket = Bucket(*(Stat(12, n, n + 9, 12 * n + 55) for n in (9, 640, 52_800, -4000)))
    bucket.temperatures_dc = [Stat(12, 200 + n, 201 + n, 2405 + 12 * n) for n in range(3)]
    bucket.cells_mv = [Stat(12, 3300 + n, 3306 + n, 12 * (3300 + n) + 33) for n in range(16)]
    assert len(pack(bucket)) < 110


@given(st.integers(0, 2**18), st.integers(0, 2**32 - 1), st.integers(1, 4095))
def test_keys_are_in_order_of_time(boot, bucket, battery):
    """Boot before bucket before battery; the place comes back."""
    place = Place(boot, bucket)
    key = key_of(place, battery)
    assert place_and_battery(key) == (place, battery)
    assert first_key(place) <= key < first_key(Place(boot, bucket + 1)) <= first_key(Place(boot + 1, 0))
    assert key < 2**63
