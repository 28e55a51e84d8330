"""The alarm levels of one battery over time: 0 fine, 1 warning, 2 alarm, ``None`` cannot be judged now.

Every rise is a notification with a buzzer on the GX, so an alarm once raised stays up for
:data:`LATCH_US`; BmsCable, the alarm of the link itself, stays up until the link has been good for a while.
"""

from __future__ import annotations

from typing import Dict, Optional, Tuple

from core.battery import Battery
from core.configuration import Configuration
from core.presence import Phase
from core.protections import ALARM, ALARM_NAMES, WARNING, alarm_levels

LATCH_US = 10_000_000
CABLE_ALARM_AFTER_US = 60_000_000
CABLE_CLEAR_AFTER_US = 60_000_000


class Alarms:
    """Levels with their memory. Ask once per tick, in order of time."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._raised: Dict[str, Tuple[int, int]] = {}
        self._cable = 0
        self._cable_since_us: Optional[int] = None
        self._live_since_us: Optional[int] = None

    def levels(self, battery: Battery, phase: Phase, now_us: int) -> Dict[str, Optional[int]]:
        """Every alarm of :data:`ALARM_NAMES`, and BmsCable, at *now_us*."""
        levels: Dict[str, Optional[int]] = dict.fromkeys(ALARM_NAMES)
        if phase is Phase.LIVE and battery.pack is not None:
            levels.update(self._latched(self._measured(battery), now_us))
        else:
            self._raised.clear()
        levels["BmsCable"] = self._cable_level(phase, now_us)
        return levels

    def _measured(self, battery: Battery) -> Dict[str, int]:
        pack = battery.pack
        assert pack is not None
        levels = alarm_levels(pack.protections, pack.warnings)
        levels["LowSoc"] = max(levels["LowSoc"], self._low_soc(pack.soc_permille))
        if battery.marks:
            levels["InternalFailure"] = max(levels["InternalFailure"], WARNING)
        return levels

    def _low_soc(self, soc_permille: Optional[int]) -> int:
        if soc_permille is None:
            return 0
        if soc_permille < self._configuration.soc_low_alarm_pct * 10:
            return ALARM
        return WARNING if soc_permille < self._configuration.soc_low_warning_pct * 10 else 0

    def _latched(self, measured: Dict[str, int], now_us: int) -> Dict[str, int]:
        if not self._raised and not any(measured.values()):
            return measured
        latched = {}
        for name, level in measured.items():
            raised, since_us = self._raised.get(name, (0, 0))
            if level < raised and now_us - since_us < LATCH_US:
                level = raised
            elif level:
                self._raised[name] = (level, since_us if level == raised else now_us)
            else:
                self._raised.pop(name, None)
            latched[name] = level
        return latched

    def _cable_level(self, phase: Phase, now_us: int) -> int:
        if phase in (Phase.LOST, Phase.GONE):
            self._live_since_us = None
            if self._cable_since_us is None:
                self._cable_since_us = now_us
            self._cable = ALARM if now_us - self._cable_since_us >= CABLE_ALARM_AFTER_US else WARNING
        elif phase is Phase.LIVE and self._cable_since_us is not None:
            if self._live_since_us is None:
                self._live_since_us = now_us
            if now_us - self._live_since_us >= CABLE_CLEAR_AFTER_US:
                self._cable, self._cable_since_us, self._live_since_us = 0, None, None
        else:
            self._live_since_us = None
        return self._cable
