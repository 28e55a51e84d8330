"""Whether history is being kept: told once when it is not, once when it is again."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Callable, Optional

from core.events import Fact, HistoryPaused, HistoryResumed

log = logging.getLogger(__name__)

TOLD_AFTER = 2
"""Commits that have to fail one after another before it counts as a problem worth an event."""


class Trouble:
    """The commits of one log as far as they failed. *tell* takes the facts that become events."""

    def __init__(self, path: Path, tell: Callable[[Fact], None]) -> None:
        self.problem: Optional[str] = None
        """Why the last commit failed; ``None`` when history is being kept."""
        self._path = path
        self._tell = tell
        self._failures = 0

    def failed(self, problem: str) -> None:
        """A commit failed."""
        if problem != self.problem:
            log.error("history is not being kept: %s (%s)", problem, self._path)
        self.problem = problem
        self._failures += 1
        if self._failures == TOLD_AFTER:
            self._tell(HistoryPaused(problem))

    def ended(self, lost: Callable[[], HistoryResumed]) -> None:
        """A commit succeeded; *lost* tells what it could not store any more."""
        if self.problem is not None:
            resumed = lost()
            log.warning("history is being kept again (%d events were lost)", resumed.lost)
            if self._failures >= TOLD_AFTER:
                self._tell(resumed)
        self.problem, self._failures = None, 0
