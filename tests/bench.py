"""Figures for the budgets: decode, fold, replay, append, trends, CSV. ``make bench``; nothing here is a test."""

import asyncio
import csv
import io
import json
import os
import resource
import struct
import sys
import tempfile
import time
from pathlib import Path

from attrs import evolve

from core import protocols
from core.configuration import PARALLEL, SERIES, BatteryConfiguration, Configuration
from core.events import ReadingTaken, SessionStarted
from core.history import MINUTE, QUARTER, History, Place
from core.live import LiveView
from core.protocols.jbd.framing import answer_frame
from core.sequencer import Sequencer
from core.trend import parse_request
from service.trend_query import TrendQuery
from storage.commit import INSERT_MARK, insert_buckets
from storage.csv_export import CsvSelection, csv_rows
from storage.event_log import EventLog
from storage.history_reader import COUNTED_TO, HistoryReader
from tests.doubles.manual_clock import ManualClock
from tests.radio_bench import reading_costs

BATTERIES = 4
CELLS = 16
POLL_S = 5
DAY_S = 86_400
YEAR_DAYS = 365
WALL_US = 1_767_225_600_000_000


def frames(cycle, battery):
    """One poll of a 16S battery: basic information with three sensors and a tail, and the cells."""
    current = -2000 + (cycle * 7 + battery) % 4000
    counts = (5300 + cycle % 7, current, 18000, 28000, 41, 0x2C7C, 0, 0, 0, 0x25, 64, 3, CELLS, 3)
    fixed = struct.pack(">HhHHHHHHHBBBBB", *counts)
    basic = fixed + struct.pack(">3H", 2940 + cycle % 5, 2941, 2938) + struct.pack(">BHHHH", 0, 0, 28000, 18000, 0)
    cells = struct.pack(">{}H".format(CELLS), *(3300 + (cycle + n * 3 + battery) % 9 for n in range(CELLS)))
    return answer_frame(3, basic), answer_frame(4, cells)


def facts(seconds, **options):
    """(uptime in µs, fact) of so many seconds of 4 x 16 cells at a poll of 5 s."""
    batteries = tuple(BatteryConfiguration("ble_{}".format(n), str(n)) for n in range(BATTERIES))
    yield 0, SessionStarted("bench", Configuration(batteries, **options).to_payload())
    for cycle in range(seconds // POLL_S):
        for n in range(BATTERIES):
            for place, frame in enumerate(frames(cycle, n)):
                at_us = (cycle * POLL_S + 1) * 1_000_000 + n * 150_000 + place * 60_000 + (cycle * 7919) % 9973
                yield at_us, ReadingTaken("ble_{}".format(n), "jbd", frame)


def events(seconds, **options):
    """The same, numbered."""
    sequencer = Sequencer(boot=1, next_number=1)
    return [
        e
        for at_us, fact in facts(seconds, **options)
        for e in sequencer.number(fact, at_us, WALL_US + at_us + at_us // 10**7)
    ]


def report(what, figure, unit, budget):
    """One line."""
    print("{:<56} {:>8} {:<12} budget {}".format(what, figure, unit, budget))


def timed(function):
    """Seconds of CPU of this process."""
    begun = time.process_time()
    result = function()
    return time.process_time() - begun, result


def bench_projections():
    """Decode and fold alone, and with every tick evaluated."""
    hour = events(3600)
    jbd = protocols.find("jbd")
    readings = [event.fact.frame for event in hour[1:]]
    seconds, _ = timed(lambda: [jbd.decode(frame) for frame in readings])
    report("decode", int(len(readings) / seconds), "readings/s", "-")

    view = LiveView()
    view.fold(hour[0])
    services = [view.service("com.victronenergy.battery.ble_{}".format(n)) for n in range(BATTERIES)]
    batteries = {n: service.bank.members[0].battery for n, service in enumerate(services)}
    by_battery = [(batteries[int(event.fact.battery[-1])], event) for event in hour[1:]]
    seconds, _ = timed(lambda: [battery.fold(event) for battery, event in by_battery])
    report("decode and fold", int(len(readings) / seconds), "readings/s", ">= 20,000")

    for name, options in BANKS.items():
        bench_replay(name, events(3600, **options))


BANKS = {
    "four monitors": {},
    "one battery in series": {"topology": SERIES, "float_switching": True, "linear": True},
    "one battery in parallel": {"topology": PARALLEL, "float_switching": True, "linear": True},
    "in parallel, everything on": {
        "topology": PARALLEL,
        "float_switching": True,
        "publish_members": True,
        "midpoint": True,
        "cell_data_format": 3,
        "time_to_soc_points": (0, 20, 80, 100),
    },
}


def bench_replay(name, hour):
    """Every publish cycle of an hour, as a replay computes it."""
    view = LiveView()
    seconds, published = timed(lambda: sum(len(view.fold(event)) for event in hour))
    report("replay, every publish cycle, " + name, int((len(hour) - 1) / seconds), "readings/s", ">= 5,000")
    tick = "{} publications, one tick {:.2f} ms".format(published, seconds / 3600 * 1000)
    print("  ({}; budget of a tick with D-Bus: 3 ms)".format(tick))


def bench_wire():
    """Encoding what one tick changes."""
    from adapters.dbus.items_changed import ItemsChanged

    view, sizes, spent, count = LiveView(), 0, 0.0, 0
    for event in events(600, topology=PARALLEL, linear=True):
        for publication in view.fold(event):
            begun = time.process_time()
            message = ItemsChanged(publication.items)
            message.serial = 1
            sizes += len(message._marshall())
            spent += time.process_time() - begun
            count += 1
    report("encode one ItemsChanged", round(spent / count * 1000, 3), "ms", "<= 3 ms a cycle")
    print("  ({} bytes on average)".format(sizes // count))


def written_bytes():
    """What this process has written so far (wchar), or None."""
    try:
        return int(Path("/proc/self/io").read_text(encoding="ascii").split()[3])
    except OSError:
        return None


async def bench_log():
    """One simulated day of 4 x 16 cells, committed every 10 s."""
    day = events(DAY_S)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.db"
        log = await EventLog.open(path, wall_us=lambda: WALL_US)
        await log.begin_boot("bench", 0)
        before, begun, commit_us = written_bytes(), time.process_time(), 10_000_000
        for event in day:
            while event.uptime_us >= commit_us:
                await log.commit()
                commit_us += 10_000_000
            log.append(event)
        await log.close()
        seconds, after = time.process_time() - begun, written_bytes()
        size = os.path.getsize(str(path))
        report("append and commit", int(len(day) / seconds), "events/s", "-")
        report("database growth", round(size / 1e6, 2), "MB/day", "<= 10")
        if before is not None:
            report("bytes written (wchar)", round((after - before) / 1e6, 1), "MB/day", "<= 100")
        begun = time.perf_counter()
        log = await EventLog.open(path, wall_us=lambda: WALL_US)
        report("open, every page checked", round((time.perf_counter() - begun) * 1000), "ms", "start <= 2 s")
        begun = time.perf_counter()
        async with await log.reader() as reader:
            count = 0
            async for _ in reader.events():
                count += 1
        report("read the log", int(count / (time.perf_counter() - begun)), "events/s", "-")
        await log.close()
        await bench_csv(path, "readings")


async def filled_for_a_year(path):
    """A log at *path* with the history of a year, every day like the first; minutes only of the last two."""
    log = await EventLog.open(path, wall_us=lambda: WALL_US)
    await log.begin_boot("bench", 0)
    day = [event for event in events(DAY_S + 60) if event.number == 1 or event.number % 97 < 8]
    log.append(day[0])
    await log.commit()
    history = History()
    for event in day:
        history.fold(event)
    counted = [dated for dated in history.closed if dated.place.bucket < DAY_S // dated.tier.seconds]
    names = log._names.copy()
    await log._db.execute("BEGIN")
    for number in range(YEAR_DAYS):
        kept = [dated for dated in counted if dated.tier is not MINUTE or number >= YEAR_DAYS - 2]
        shifted = [(dated, dated.place.bucket + number * DAY_S // dated.tier.seconds) for dated in kept]
        buckets = [evolve(dated, place=Place(1, bucket)) for dated, bucket in shifted]
        await insert_buckets(log._db, buckets, names)
    await log._db.execute(INSERT_MARK, (COUNTED_TO, 2))  # the one event there is lies before all rows
    await log._db.execute("COMMIT")
    log._names = names
    return log


async def longest_turn(done):
    """Seconds for which the event loop was held at most, until *done*."""
    longest, before = 0.0, time.perf_counter()
    while not done.is_set():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    return longest


async def bench_csv(path, kind):
    """Rows of a month, or of a day of readings, as text."""
    begun, count = time.process_time(), 0
    table = csv.writer(io.StringIO(), lineterminator="\n")
    async with await HistoryReader.open(path) as reader:
        last_us = WALL_US + YEAR_DAYS * DAY_S * 1_000_000
        since_us = last_us - 30 * DAY_S * 1_000_000 if kind == "cells" else None
        async for row in csv_rows(reader, CsvSelection(kind, QUARTER, since_us)):
            table.writerow(row)
            count += 1
    report("CSV of {}".format(kind), int(count / (time.process_time() - begun)), "rows/s", "-")


async def bench_trends():
    """What a page asks of a year of 4 x 16 cells."""
    with tempfile.TemporaryDirectory() as folder:
        log = await filled_for_a_year(Path(folder) / "log.db")
        clock = ManualClock(uptime_s=YEAR_DAYS * DAY_S, wall_us=WALL_US + YEAR_DAYS * DAY_S * 1_000_000)
        query = TrendQuery(log, clock)
        batteries = [BatteryConfiguration("ble_{}".format(n), str(n)) for n in range(BATTERIES)]
        for what, hours, budget in (("24 h", 24, "-"), ("7 days", 168, "<= 50"), ("1 year", 8760, "<= 200")):
            for series, battery in (("spread", None), ("cells", 1)):
                text = json.dumps({"hours": hours, "series": series, "battery": battery})
                request = parse_request(text, batteries)
                begun = time.process_time()
                answer = await query.answer(request)
                spent_ms = (time.process_time() - begun) * 1000
                report("trend of {}, {}".format(what, series), round(spent_ms, 1), "ms", budget)
                done = asyncio.Event()
                meter = asyncio.ensure_future(longest_turn(done))
                await query.answer(request)
                done.set()
                held_ms = round(await meter * 1000, 1)
                points = len(json.loads(answer)["min"][0])
                print("  ({} bytes, {} points; the event loop was held for {} ms)".format(len(answer), points, held_ms))
        await log.close()
        await bench_csv(Path(folder) / "log.db", "cells")


def bench_radio():
    """The whole daemon over real bleak to the BlueZ double: CPU and memory."""
    for count, batteries in ((1, "1 battery"), (BATTERIES, "{} batteries".format(BATTERIES))):
        cpu_ms, resident_mb = reading_costs(count)
        report("poll cycle and publish, {}, CPU".format(batteries), round(cpu_ms, 1), "ms", "-")
        report("daemon with {}, resident".format(batteries), round(resident_mb), "MB", "<= 45")


def main():
    """All figures."""
    print("Python {}.{}, {} batteries x {} cells, poll {} s".format(*sys.version_info[:2], BATTERIES, CELLS, POLL_S))
    bench_projections()
    bench_wire()
    asyncio.run(bench_log())
    asyncio.run(bench_trends())
    bench_radio()
    report("peak memory of all this", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "MB", "-")


if __name__ == "__main__":
    main()
