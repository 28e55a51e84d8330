"""How a bucket of the history lies in a row: a key in order of time, and its numbers packed.

Numbers are variable-length integers, seven bits to a byte, the lowest first; signed ones are folded to 0, -1, 1, -2, …
A sixteen-cell minute takes some hundred bytes; as JSON it would be six times that, at every minute for years.
"""

from __future__ import annotations

from itertools import islice
from typing import Callable, Iterator, List, Sequence, Tuple

from core.history import Bucket, Place, Stat

FORMAT = 1
_BATTERY_BITS = 12
_BUCKET_BITS = 32
HEAD = ("spread_mv", "soc_permille", "voltage_mv", "current_ma", "temperatures_dc")
"""The quantities that come first in a row."""
_SINGLE = 4
MAX_BATTERY = (1 << _BATTERY_BITS) - 1


def key_of(place: Place, battery: int) -> int:
    """The key of a row: rows of one time lie side by side, and later ones after them."""
    return (place.boot << _BUCKET_BITS | place.bucket) << _BATTERY_BITS | battery


def first_key(place: Place) -> int:
    """The smallest key at *place* or later."""
    return key_of(place, 0)


def place_and_battery(key: int) -> Tuple[Place, int]:
    """The inverse of :func:`key_of`."""
    time = key >> _BATTERY_BITS
    return Place(time >> _BUCKET_BITS, time & (1 << _BUCKET_BITS) - 1), key & MAX_BATTERY


def pack(bucket: Bucket) -> bytes:
    """*bucket* as bytes; equal buckets give equal bytes."""
    numbers: List[int] = [FORMAT]
    for stat in (bucket.spread_mv, bucket.soc_permille, bucket.voltage_mv, bucket.current_ma):
        _put_stat(numbers, stat)
    numbers.append(len(bucket.temperatures_dc))
    for stat in bucket.temperatures_dc:
        _put_stat(numbers, stat)
    _put_cells(numbers, bucket.cells_mv)
    numbers.append(len(bucket.balancing_ms))
    for cell in sorted(bucket.balancing_ms):
        numbers += (cell, bucket.balancing_ms[cell])
    return _bytes_of(numbers)


def unpack(data: bytes) -> Bucket:
    """The inverse of :func:`pack`. Raises :class:`ValueError` for bytes that are no bucket of this format."""
    numbers = _numbers_of(data)
    if numbers[:1] != [FORMAT]:
        raise ValueError("a bucket of the history has another format than {}".format(FORMAT))
    rest = iter(numbers)
    next(rest)
    take = rest.__next__
    try:
        spread, soc, voltage, current = _take_stat(take), _take_stat(take), _take_stat(take), _take_stat(take)
        temperatures = [_take_stat(take) for _ in range(take())]
        cells = _take_cells(rest)
        balancing = {take(): take() for _ in range(take())}
    except (StopIteration, IndexError):
        raise ValueError("a bucket of the history is cut off") from None
    return Bucket(spread, soc, voltage, current, temperatures, cells, balancing)


def unpack_until(data: bytes, quantity: str) -> Bucket:
    """*data* up to *quantity*, one of :data:`HEAD`, and nothing behind it: most of a row is cells.

    Raises :class:`ValueError` for bytes that are no bucket of this format, as far as they were looked at.
    """
    take = _one_by_one(data).__next__
    try:
        if take() != FORMAT:
            raise ValueError("a bucket of the history has another format than {}".format(FORMAT))
        stats = [_take_stat(take) for _ in range(min(HEAD.index(quantity) + 1, _SINGLE))]
        temperatures = [_take_stat(take) for _ in range(take())] if quantity == HEAD[-1] else []
    except StopIteration:
        raise ValueError("a bucket of the history is cut off") from None
    stats += [Stat() for _ in range(_SINGLE - len(stats))]
    return Bucket(stats[0], stats[1], stats[2], stats[3], temperatures)


def _folded(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _unfolded(number: int) -> int:
    return -(number + 1 >> 1) if number & 1 else number >> 1


def _put_stat(numbers: List[int], stat: Stat) -> None:
    numbers.append(stat.count)
    if stat.count:
        rest = stat.total - stat.count * stat.lowest
        numbers += (_folded(stat.lowest), stat.highest - stat.lowest, rest)


def _take_stat(take: Callable[[], int]) -> Stat:
    count = take()
    if not count:
        return Stat()
    lowest = _unfolded(take())
    return Stat(count, lowest, lowest + take(), take() + count * lowest)


def _put_cells(numbers: List[int], cells: Sequence[Stat]) -> None:
    """Column by column: counts are nearly always all the same, and voltages are near their neighbours'."""
    counts = {cell.count for cell in cells}
    numbers.append(len(cells))
    if len(counts) == 1:
        numbers += (0, *counts)
    else:
        numbers += (1, *(cell.count for cell in cells))
    before = 0
    for cell in cells:
        numbers.append(_folded(cell.lowest - before))
        before = cell.lowest
    numbers += (cell.highest - cell.lowest for cell in cells)
    numbers += (cell.total - cell.count * cell.lowest for cell in cells)


def _take_cells(numbers: Iterator[int]) -> List[Stat]:
    size = next(numbers)
    counts = list(islice(numbers, size)) if next(numbers) else [next(numbers)] * size
    lowest, before = [], 0
    for number in islice(numbers, size):
        before += _unfolded(number)
        lowest.append(before)
    ranges, rests = list(islice(numbers, size)), list(islice(numbers, size))
    return [Stat(counts[n], lowest[n], lowest[n] + ranges[n], rests[n] + counts[n] * lowest[n]) for n in range(size)]


def _bytes_of(numbers: Sequence[int]) -> bytes:
    data = bytearray()
    for number in numbers:
        while number > 0x7F:
            data.append(number & 0x7F | 0x80)
            number >>= 7
        data.append(number)
    return bytes(data)


def _numbers_of(data: bytes) -> List[int]:
    numbers: List[int] = []
    number = shift = 0
    for byte in data:
        if byte < 0x80:
            numbers.append(number | byte << shift)
            number = shift = 0
        else:
            number |= (byte & 0x7F) << shift
            shift += 7
    if shift:
        raise ValueError("a bucket of the history is cut off")
    return numbers


def _one_by_one(data: bytes) -> Iterator[int]:
    """The numbers of *data*, decoded as they are taken."""
    number = shift = 0
    for byte in data:
        if byte < 0x80:
            yield number | byte << shift
            number = shift = 0
        else:
            number |= (byte & 0x7F) << shift
            shift += 7
