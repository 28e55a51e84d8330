"""A progress bar for what takes long, where somebody looks."""

from __future__ import annotations

from typing import Any, Optional

SHOWN_AFTER_S = 1.0


def progress_bar(unit: str, total: Optional[int] = None, *, shown: bool = True) -> Any:
    """A bar of the library tqdm on standard error; it stays silent when that is no terminal or it is not *shown*.

    Use as a context manager; ``update(count)`` adds to it.
    """
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # no thread of its own: whoever has a bar here updates it all the time
    return tqdm(total=total, unit=" " + unit, leave=False, disable=None if shown else True, delay=SHOWN_AFTER_S)
