"""What the history still knows of a time whose single readings were deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

from core.history import TIERS, DatedBucket, Place, Stat
from service.past import ReadingsGone
from service.times import time_text
from storage.history_reader import HistoryReader

Ranges = Dict[str, Any]


async def buckets_at(database: Path, gone: ReadingsGone, battery: Optional[str]) -> List[DatedBucket]:
    """The finest stretch that is kept around that time, one for each battery. Raises :class:`StorageError`."""
    async with await HistoryReader.open(database) as reader:
        for tier in TIERS:
            place = Place(gone.boot, tier.bucket(gone.uptime_us))
            after = Place(place.boot, place.bucket + 1)
            found = [dated async for dated in reader.stored(tier, place, after, battery)]
            if found:
                return found
    return []


def ranges(dated: DatedBucket) -> Ranges:
    """Lowest, mean and highest of everything, as plain JSON values; what was not read is missing."""
    bucket = dated.bucket
    named = {
        "voltage_V": (bucket.voltage_mv, 1e3),
        "current_A": (bucket.current_ma, 1e3),
        "soc_pct": (bucket.soc_permille, 10),
        "spread_V": (bucket.spread_mv, 1e3),
        **{"cell{}_V".format(n): (stat, 1e3) for n, stat in enumerate(bucket.cells_mv, 1)},
        **{"temperature{}_C".format(n): (stat, 10) for n, stat in enumerate(bucket.temperatures_dc, 1)},
    }
    return {name: _range(stat, divisor) for name, (stat, divisor) in named.items() if stat.count}


def _range(stat: Stat, divisor: float) -> List[float]:
    return [round(value / divisor, 4) for value in (stat.lowest, stat.total / stat.count, stat.highest)]


def history_lines(found: List[DatedBucket], gone: ReadingsGone) -> List[str]:
    """For people: one line for each quantity of each battery."""
    tier, place = found[0].tier, found[0].place
    begun_us = gone.wall_us - gone.uptime_us + place.bucket * tier.seconds * 1_000_000
    lines = ["{}; the {} from {} are kept as lowest, mean, highest:".format(gone, tier.name, time_text(begun_us))]
    for dated in found:
        lines += ["", dated.battery]
        lines += ["  {:<15} {:>9g} {:>9g} {:>9g}".format(name, *values) for name, values in ranges(dated).items()]
    return lines


def history_json(found: List[DatedBucket], gone: ReadingsGone) -> Dict[str, Any]:
    """The same as plain JSON values."""
    return {
        "time": time_text(gone.wall_us),
        "boot": gone.boot,
        "uptime_s": gone.uptime_us // 1_000_000,
        "readings_deleted": True,
        "resolution": found[0].tier.name,
        "batteries": {dated.battery: ranges(dated) for dated in found},
    }
