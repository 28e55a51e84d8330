"""Points in time as owners write and read them: ISO 8601, UTC."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from config.options import ConfigError

_FRACTION = re.compile(r"[.,](\d+)")
_BEGIN = datetime(1970, 1, 1, tzinfo=timezone.utc)


def parse_time(text: str) -> int:
    """ISO 8601 in UTC as µs since 1970. Raises :class:`ConfigError`."""
    whole = _FRACTION.sub(lambda found: "." + found.group(1)[:6].ljust(6, "0"), text)  # Python 3.8 wants all six
    try:
        moment = datetime.fromisoformat(whole[:-1] + "+00:00" if whole.endswith("Z") else whole)
    except ValueError:
        raise ConfigError("{!r} is no time like 2026-11-22T15:30 (UTC)".format(text)) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return (moment - _BEGIN) // timedelta(microseconds=1)


def time_text(wall_us: int) -> str:
    """``2026-11-22T15:30:00Z``; the second that *wall_us* lies in."""
    try:
        moment = _BEGIN + timedelta(seconds=wall_us // 1_000_000)
    except OverflowError:  # a session file may say anything
        return "{} s since 1970".format(wall_us // 1_000_000)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def duration_text(seconds: float) -> str:
    """``3 d 04:05:06``, without the days where there are none."""
    days, rest = divmod(int(seconds), 86_400)
    minutes, rest = divmod(rest, 60)
    clock = "{:02d}:{:02d}:{:02d}".format(minutes // 60, minutes % 60, rest)
    return "{} d {}".format(days, clock) if days else clock
