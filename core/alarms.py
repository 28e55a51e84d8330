"""The alarm levels of a battery and of a bank over time: 0 fine, 1 warning, 2 alarm, ``None`` cannot be judged now.

Every rise is a notification with a buzzer on the GX, so an alarm once raised stays up for
:data:`LATCH_US`; BmsCable, the alarm of the link itself, stays up until the link has been good for a while.
"""

from __future__ import annotations

from typing import Dict, Optional, Tuple

from core import plausibility
from core.bank import Bank
from core.battery import Battery
from core.configuration import Configuration
from core.imbalance import Imbalances
from core.presence import Phase
from core.protections import ALARM, ALARM_NAMES, WARNING, alarm_levels

LATCH_US = 10_000_000
CABLE_ALARM_AFTER_US = 60_000_000
CABLE_CLEAR_AFTER_US = 60_000_000

Levels = Dict[str, Optional[int]]
_UNKNOWN: Levels = dict.fromkeys(ALARM_NAMES)


class BankAlarms:
    """The levels of a whole bank: of each alarm the worst that a live battery raises."""

    def __init__(self, bank: Bank, configuration: Configuration) -> None:
        self._bank = bank
        self._batteries = [(member, Alarms(configuration)) for member in bank.members]
        self._latch = Latch()
        self._cable = CableAlarm()

    def levels(self, imbalances: Imbalances, refused: bool, now_us: int, *, unrecorded: bool = False) -> Levels:
        """Every alarm at *now_us*.

        *refused*: no limits can be published, although they should; *unrecorded*: no history is being kept.
        """
        each = [alarms.levels(member.battery, member.phase, now_us) for member, alarms in self._batteries]
        levels = dict(each[0])
        for more in each[1:]:
            if more is not each[0] and more != levels:
                levels = {name: _worse(level, more[name]) for name, level in levels.items()}
        if self._bank.live_members():
            recounted = any(member.counts_anew for member in self._bank.members)
            inner = imbalances.sensors or refused or recounted or self._interrupted()
            own: Levels = {"CellImbalance": int(imbalances.any_cells), "InternalFailure": int(inner)}
            for name, level in self._latch.update(own, now_us).items():
                levels[name] = _worse(levels[name], level)
        if unrecorded:
            levels["InternalFailure"] = _worse(levels["InternalFailure"], WARNING)
        some_lost = any(member.lost for member in self._bank.members)
        all_lost = self._bank.phase in (Phase.LOST, Phase.GONE)
        levels["BmsCable"] = self._cable.level(some_lost, all_lost, self._bank.whole, now_us)
        return levels

    def _interrupted(self) -> bool:
        """An open switch in a string: its battery stands the voltage of all the others."""
        if not self._bank.series:
            return False
        packs = [member.battery.pack for member in self._bank.live_members()]
        return any(pack is not None and False in (pack.charge_fet_on, pack.discharge_fet_on) for pack in packs)


def _worse(one: Optional[int], other: Optional[int]) -> Optional[int]:
    return other if one is None else one if other is None else max(one, other)


class Latch:
    """Levels that do not fall before they have been up for a while."""

    def __init__(self) -> None:
        self._raised: Dict[str, Tuple[int, int]] = {}

    def clear(self) -> None:
        """Forget what was up."""
        self._raised.clear()

    def update(self, measured: Levels, now_us: int) -> Levels:
        """*measured*, or the level that came before it."""
        if not self._raised and not any(measured.values()):
            return measured
        latched: Levels = {}
        for name, measured_level in measured.items():
            level = measured_level or 0
            raised, since_us = self._raised.get(name, (0, 0))
            if level < raised and now_us - since_us < LATCH_US:
                level = raised
            elif level:
                self._raised[name] = (level, since_us if level == raised else now_us)
            else:
                self._raised.pop(name, None)
            latched[name] = level
        return latched


class CableAlarm:
    """BmsCable: 1 while a battery is lost, 2 when all of them have been for a minute."""

    def __init__(self) -> None:
        self._level = 0
        self._all_since_us: Optional[int] = None
        self._good_since_us: Optional[int] = None

    def level(self, some_lost: bool, all_lost: bool, good: bool, now_us: int) -> int:
        """The level at *now_us*; it falls after the link has been *good* for a minute."""
        if some_lost:
            self._good_since_us = None
            if not all_lost:
                self._all_since_us = None
            elif self._all_since_us is None:
                self._all_since_us = now_us
            lasting = self._all_since_us is not None and now_us - self._all_since_us >= CABLE_ALARM_AFTER_US
            self._level = ALARM if lasting else WARNING
        elif good and self._level:
            if self._good_since_us is None:
                self._good_since_us = now_us
            if now_us - self._good_since_us >= CABLE_CLEAR_AFTER_US:
                self._level, self._all_since_us, self._good_since_us = 0, None, None
        else:
            self._good_since_us = None
        return self._level


class Alarms:
    """The levels of one battery, with their memory. Ask once per tick, in order of time."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._latch = Latch()
        self._judged: Optional[Tuple[Battery, int, Levels]] = None

    def levels(self, battery: Battery, phase: Phase, now_us: int) -> Levels:
        """Every alarm of :data:`ALARM_NAMES` at *now_us*."""
        if phase is not Phase.LIVE or battery.pack is None:
            self._latch.clear()
            self._judged = None
            return _UNKNOWN
        if self._judged is None or self._judged[:2] != (battery, battery.revision):
            self._judged = battery, battery.revision, self._measured(battery)
        return self._latch.update(self._judged[2], now_us)

    def _measured(self, battery: Battery) -> Levels:
        pack = battery.pack
        assert pack is not None
        levels = alarm_levels(pack.protections, pack.warnings)
        levels["LowSoc"] = max(levels["LowSoc"], self._low_soc(pack.soc_permille))
        if battery.marks:
            levels["InternalFailure"] = max(levels["InternalFailure"], WARNING)
        if plausibility.any_sensor(battery.marks):
            levels["BatteryTemperatureSensor"] = WARNING
        return dict(levels)

    def _low_soc(self, soc_permille: Optional[int]) -> int:
        if soc_permille is None:
            return 0
        if soc_permille < self._configuration.soc_low_alarm_pct * 10:
            return ALARM
        return WARNING if soc_permille < self._configuration.soc_low_warning_pct * 10 else 0
