"""What the readings of every minute, quarter of an hour and day were: lowest, highest, mean, and time spent balancing.

A fold over the event log. Minutes are counted from readings, quarters from minutes and days from quarters, with sums
and counts rather than means, so that every tier is exact and can be made again from the one below. A bucket is one
battery in one stretch of one boot's uptime; it knows no wall time. Only values that can be true are counted
(:mod:`core.plausibility`); what was not read leaves no bucket.
"""

from __future__ import annotations

from typing import Dict, Iterable, List, Optional, Tuple

from attrs import define, field, frozen

from core import plausibility
from core.battery import Battery
from core.configuration import configuration_from
from core.events import Event, ReadingTaken, SessionStarted

SETTLE_US = 300_000_000
"""A fold that begins in the middle knows after this long all that one from the beginning knows (see _Watched)."""


@frozen
class Tier:
    """One resolution of the history."""

    name: str
    seconds: int

    def bucket(self, uptime_us: int) -> int:
        """The number of the bucket that *uptime_us* lies in, counted from boot."""
        return uptime_us // (self.seconds * 1_000_000)


MINUTE = Tier("1min", 60)
QUARTER = Tier("15min", 900)
DAY = Tier("1day", 86_400)
TIERS = (MINUTE, QUARTER, DAY)


@define
class Stat:
    """Samples of one quantity: how many, lowest, highest, and their sum."""

    count: int = 0
    lowest: int = 0
    highest: int = 0
    total: int = 0

    def add(self, value: int) -> None:
        """Count one sample."""
        if not self.count or value < self.lowest:
            self.lowest = value
        if not self.count or value > self.highest:
            self.highest = value
        self.count += 1
        self.total += value

    def merge(self, other: Stat) -> None:
        """Count all samples of *other*."""
        if not other.count:
            return
        self.lowest = min(self.lowest, other.lowest) if self.count else other.lowest
        self.highest = max(self.highest, other.highest) if self.count else other.highest
        self.count += other.count
        self.total += other.total

    @property
    def mean(self) -> Optional[float]:
        """``None`` without a sample."""
        return self.total / self.count if self.count else None


@define
class Bucket:
    """One battery over one stretch of time."""

    spread_mv: Stat = field(factory=Stat)
    """Highest less lowest cell of each cell reading whose cells are all known."""
    soc_permille: Stat = field(factory=Stat)
    voltage_mv: Stat = field(factory=Stat)
    current_ma: Stat = field(factory=Stat)
    temperatures_dc: List[Stat] = field(factory=list)
    """By sensor, the first one first."""
    cells_mv: List[Stat] = field(factory=list)
    """By cell, cell 1 first."""
    balancing_ms: Dict[int, int] = field(factory=dict)
    """By cell, from 1: for how long it was being balanced; cells that never were are missing."""

    def merge(self, other: Bucket) -> None:
        """Count all samples of *other*."""
        self.spread_mv.merge(other.spread_mv)
        self.soc_permille.merge(other.soc_permille)
        self.voltage_mv.merge(other.voltage_mv)
        self.current_ma.merge(other.current_ma)
        for mine, theirs in ((self.temperatures_dc, other.temperatures_dc), (self.cells_mv, other.cells_mv)):
            for number, stat in enumerate(theirs, 1):
                _nth(mine, number).merge(stat)
        for cell, balancing_ms in other.balancing_ms.items():
            self.balancing_ms[cell] = self.balancing_ms.get(cell, 0) + balancing_ms

    @property
    def mean_cell_mv(self) -> Optional[float]:
        """The mean of the means of all cells that were read."""
        means = [cell.mean for cell in self.cells_mv]
        known = [mean for mean in means if mean is not None]
        return sum(known) / len(known) if known else None


def _nth(stats: List[Stat], number: int) -> Stat:
    while len(stats) < number:
        stats.append(Stat())
    return stats[number - 1]


@frozen(order=True)
class Place:
    """When a bucket was: boots follow one another by number, an unknown time apart."""

    boot: int
    bucket: int


@frozen
class DatedBucket:
    """A bucket of *tier* and whose it is."""

    tier: Tier
    place: Place
    battery: str
    bucket: Bucket


class _Watched:
    """What has to be remembered of a battery between two readings.

    After a silence of more than ``live_s`` on either half it begins anew: nothing in it is older than that, so a fold
    over the last few minutes comes to the same as one over all.
    """

    def __init__(self, battery: Battery, live_s: float) -> None:
        self.battery = battery
        self._live_s = live_s
        self._pack_us: Optional[int] = None
        self._balancing: Tuple[int, ...] = ()

    def fold(self, event: Event, bucket: Optional[Bucket]) -> None:
        """Take in a reading; count it in *bucket*."""
        if (self.battery.age_s(event.uptime_us) or 0) > self._live_s:
            self.battery = Battery(self.battery.configuration)
        battery = self.battery
        pack, cells = battery.pack, battery.cells
        battery.fold(event)
        bucket = Bucket() if bucket is None else bucket
        if battery.pack is not pack:
            self._count_pack(bucket, event.uptime_us)
        if battery.cells is not cells:
            self._count_cells(bucket)

    def _count_pack(self, bucket: Bucket, uptime_us: int) -> None:
        battery, pack = self.battery, self.battery.pack
        assert pack is not None
        if plausibility.VOLTAGE not in battery.marks:
            bucket.voltage_mv.add(pack.voltage_mv)
        if battery.current_ma is not None:
            bucket.current_ma.add(battery.current_ma)
        if battery.soc_permille is not None:
            bucket.soc_permille.add(battery.soc_permille)
        for sensor, temperature_dc in battery.temperatures_dc():
            _nth(bucket.temperatures_dc, sensor).add(temperature_dc)
        if self._pack_us is not None and uptime_us - self._pack_us <= self._live_s * 1e6:
            since_ms = (uptime_us - self._pack_us) // 1000  # the time since the former answer went as that one said
            for cell in self._balancing:
                bucket.balancing_ms[cell] = bucket.balancing_ms.get(cell, 0) + since_ms
        self._pack_us, self._balancing = uptime_us, pack.balancing_cells

    def _count_cells(self, bucket: Bucket) -> None:
        cells_mv = self.battery.plausible_cells_mv()
        for cell, mv in cells_mv:
            _nth(bucket.cells_mv, cell).add(mv)
        if self.battery.cells_are_known:
            voltages_mv = [mv for _, mv in cells_mv]
            bucket.spread_mv.add(max(voltages_mv) - min(voltages_mv))


class History:
    """Feed it every event in order; :attr:`closed` fills with buckets that will not change any more."""

    def __init__(self) -> None:
        self.closed: List[DatedBucket] = []
        """Finished buckets, in order of time, finer tiers first. Whoever stores them takes them out."""
        self.open_since = 0
        """The number of the first event of the minute that is open: all before it is in closed buckets."""
        self._watched: Dict[str, _Watched] = {}
        self._open: List[Dict[str, Bucket]] = [{} for _ in TIERS]
        self._places: List[Optional[Place]] = [None for _ in TIERS]

    def fold(self, event: Event) -> None:
        """Take in *event*; any later minute, or another boot, closes the buckets before it."""
        self._advance(event)
        self._take(event, counted=True)

    def settle(self, event: Event) -> None:
        """Take in an event whose readings are counted already: what follows is judged by it."""
        self._take(event, counted=False)

    def resume(self, first: Event, counted: Iterable[DatedBucket]) -> None:
        """Go on from *first*, the first event of its minute. *counted*: minutes of its quarter, quarters of its day.

        Call it on a fold that has not counted anything.
        """
        self._advance(first)
        for dated in counted:
            level = TIERS.index(dated.tier) + 1
            self._open[level].setdefault(dated.battery, Bucket()).merge(dated.bucket)

    def open_buckets(self, tier: Tier) -> List[DatedBucket]:
        """What is known so far of the stretch that is not over, by battery."""
        level = TIERS.index(tier)
        place = self._places[level]
        merged: Dict[str, Bucket] = {}
        for finer in self._open[: level + 1]:
            for battery, bucket in finer.items():
                merged.setdefault(battery, Bucket()).merge(bucket)
        return [DatedBucket(tier, place, battery, merged[battery]) for battery in sorted(merged) if place is not None]

    def _take(self, event: Event, *, counted: bool) -> None:
        fact = event.fact
        if isinstance(fact, SessionStarted):
            configuration = configuration_from(dict(fact.configuration))
            self._watched = {
                known.battery: _Watched(Battery(known), configuration.live_s) for known in configuration.batteries
            }
        elif isinstance(fact, ReadingTaken) and fact.battery in self._watched:
            bucket = self._open[0].setdefault(fact.battery, Bucket()) if counted else None
            self._watched[fact.battery].fold(event, bucket)

    def _advance(self, event: Event) -> None:
        for level, tier in enumerate(TIERS):
            place = Place(event.boot, tier.bucket(event.uptime_us))
            if place == self._places[level]:
                return  # so do the coarser ones
            if level == 0:
                self.open_since = event.number
            self._close(level)
            self._places[level] = place

    def _close(self, level: int) -> None:
        tier, place, buckets = TIERS[level], self._places[level], self._open[level]
        for battery in sorted(buckets):
            assert place is not None
            self.closed.append(DatedBucket(tier, place, battery, buckets[battery]))
            if level + 1 < len(TIERS):
                self._open[level + 1].setdefault(battery, Bucket()).merge(buckets[battery])
        self._open[level] = {}
