"""One service over time: what was last published of it, and what has changed since."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple

from attrs import evolve, field, frozen

from core.alarms import BankAlarms, Levels
from core.bank import Bank
from core.bank_values import SOC_KEPT_S, BankValues, values_of
from core.battery import Battery
from core.cell_alerts import CellAlerts
from core.cell_monitor import CellMonitor
from core.configuration import SEPARATE, SINGLE, Configuration, PlannedService
from core.events import SettingChanged
from core.imbalance import Imbalances, ImbalanceWatch
from core.limits.control import ChargeControl, Limits
from core.member_publication import member_items, seed_bank_items, seed_member_items
from core.paths import Value
from core.presence import Phase
from core.publication import (
    BUS_NAME_PREFIX,
    Items,
    alarm_items,
    identity_items,
    limit_items,
    link_items,
    option_items,
    value_items,
)
from core.time_to_soc import time_to_soc_items

TICK_US = 1_000_000
SLOW_US = 10_000_000
"""The families that only the seed had are refreshed this often."""

JOINED = "joined"
CHANGED = "changed"
LEFT = "left"

CUSTOM_NAME = "CustomName"
DEVICE_INSTANCE = "DeviceInstance"
SELECTED_BATTERY = "SelectedBattery"


@frozen
class Publication:
    """What one service does on the bus at one tick: joins with all its items, changes some, or leaves."""

    boot: int
    uptime_s: int
    service: str
    phase: Phase
    change: str
    items: Mapping[str, Value] = field(factory=dict)

    def to_json(self) -> str:
        """One line; equal publications give equal bytes."""
        line = {
            "boot": self.boot,
            "uptime_s": self.uptime_s,
            "service": self.service,
            "phase": self.phase.value,
            "change": self.change,
            "items": self.items,
        }
        return json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


class _Part:
    """Some paths of a service, computed again only when what they follow from is another."""

    def __init__(self) -> None:
        self._key: Any = None
        self._items: Items = {}

    def refresh(self, key: Any, make: Callable[..., Items], *arguments: Any) -> Items:
        """The paths that changed; one that vanished (a cell that the BMS no longer speaks of) is unknown."""
        if key == self._key:
            return _NOTHING
        before, self._key = self._items, key
        items = make(*arguments)
        for path in before.keys() - items.keys():
            items[path] = None
        self._items = items
        return {path: value for path, value in items.items() if path not in before or before[path] != value}


_NOTHING: Items = {}


class _Parts:
    """All parts of a service while it is on the bus."""

    def __init__(self, members: int) -> None:
        self.options, self.identity, self.link, self.values = _Part(), _Part(), _Part(), _Part()
        self.alarms, self.limits, self.time_to_soc, self.seed = _Part(), _Part(), _Part(), _Part()
        self.cells = _Part()
        self.members = [_Part() for _ in range(members)]
        self.seed_members = [_Part() for _ in range(members)]


class ServiceView:
    """Feed the batteries with events, tell it of settings, and evaluate it once per tick."""

    def __init__(
        self,
        plan: PlannedService,
        batteries: Sequence[Battery],
        configuration: Configuration,
        *,
        began_us: int,
        index: int,
        program: str,
        remembered: Mapping[str, Any],
        alerts: CellAlerts,
    ) -> None:
        if len(batteries) == 1 and configuration.topology != SEPARATE:
            configuration = evolve(configuration, topology=SINGLE)
        self.key = plan.key
        self.name = BUS_NAME_PREFIX + plan.key
        self.bank = Bank(batteries, configuration, began_us)
        self.custom_name = ""
        self.selected = 1
        self.history_problem: Optional[str] = None
        """Why no history is being kept."""
        self._program = program
        self.instance: Optional[int] = None
        """The DeviceInstance; without one it does not join the bus."""
        if configuration.device_instance is not None:
            self.instance = configuration.device_instance + index
        capacities_mah = remembered_capacities(remembered)
        self._capacities_mah = capacities_mah
        charge = remembered.get("charge")
        self.control: Optional[ChargeControl] = None
        if plan.controls:
            state = charge if isinstance(charge, dict) else {}
            self.control = ChargeControl(self.bank, configuration, state, capacities_mah)
        self._alarms = BankAlarms(self.bank, configuration)
        self._imbalance = ImbalanceWatch(self.bank)
        self.monitor: Optional[CellMonitor] = CellMonitor(self.bank, alerts) if plan.monitors_cells else None
        self._values: Optional[BankValues] = None
        self._read: Any = None
        self._state: Any = None
        self._parts = _Parts(len(batteries))
        self._on_bus = False
        self._joined_as: Optional[int] = None

    @property
    def on_bus(self) -> bool:
        """Whether it has joined and not left."""
        return self._on_bus

    @property
    def problem(self) -> Optional[str]:
        """Why there is no service, or one without limits."""
        return self.bank.problem or (self.control.problem if self.control else None)

    @property
    def awaited(self) -> str:
        """What it needs before it can join the bus."""
        silent = [member.battery.configuration.battery for member in self.bank.members if not member.seen]
        if silent:
            return "the first complete answer of {}".format(", ".join(silent))
        return "its DeviceInstance" if self.instance is None else "all its batteries at the same time"

    def fold(self, fact: SettingChanged) -> None:
        """Take in a setting of this service."""
        if fact.setting == CUSTOM_NAME and isinstance(fact.value, str):
            self.custom_name = fact.value
        elif fact.setting == DEVICE_INSTANCE and isinstance(fact.value, int):
            self.instance = fact.value
        elif fact.setting == SELECTED_BATTERY and isinstance(fact.value, int):
            self.selected = fact.value
        elif self.monitor is not None:
            self.monitor.fold(fact)

    def leave(self) -> None:
        """It is off the bus: the next publication tells everything anew."""
        self._on_bus = False
        self._values = None  # it may come back with other cell counts
        self._parts, self._state = _Parts(len(self.bank.members)), None

    def evaluate(self, boot: int, now_us: int) -> Optional[Publication]:
        """What happens on the bus at this tick."""
        phase = self.bank.look(now_us)
        uptime_s = now_us // TICK_US
        if phase is Phase.START:
            return self._leave_if_there(boot, uptime_s, phase)
        limits = self.control.tick(now_us) if self.control else None
        imbalances = self._imbalance.look(now_us)
        refused = self.control is not None and limits is None
        unrecorded = self.history_problem is not None
        levels = self._alarms.levels(imbalances, refused, now_us, unrecorded=unrecorded)
        if self.monitor is not None:
            self.monitor.look(now_us)
        # Victron's programs read the instance when a service joins and never again: with another one it joins anew.
        if self._on_bus and (phase is Phase.GONE or self.instance != self._joined_as):
            return self._leave_if_there(boot, uptime_s, phase)
        if phase is Phase.GONE or self.instance is None:
            return None
        changed = self._refreshed(limits, imbalances, levels, now_us)
        if not self._on_bus:
            self._on_bus, self._joined_as = True, self.instance
            return Publication(boot, uptime_s, self.name, phase, JOINED, changed)
        return Publication(boot, uptime_s, self.name, phase, CHANGED, changed) if changed else None

    def _leave_if_there(self, boot: int, uptime_s: int, phase: Phase) -> Optional[Publication]:
        if not self._on_bus:
            return None
        self.leave()
        return Publication(boot, uptime_s, self.name, phase, LEFT)

    def _refreshed(self, limits: Optional[Limits], imbalances: Imbalances, levels: Levels, now_us: int) -> Items:
        """The paths that changed since the last tick."""
        bank, configuration, parts = self.bank, self.bank.configuration, self._parts
        members = bank.members
        phases = [member.phase for member in members]
        revisions = [member.battery.revision for member in members]
        read = (phases, revisions, [(member.age_s or 0) > SOC_KEPT_S for member in members])
        if self._values is None or self._read != read:
            self._values, self._read = values_of(bank, self._capacities_mah), read
        values = self._values
        allowed = None if limits is None else (limits.ccl_ma > 0, limits.dcl_ma > 0)
        ages_us = None if bank.whole else now_us
        sampled = None if self.monitor is None else self.monitor.state
        notes = self._notes(values)
        state = (read, ages_us, self._settings, notes, levels, limits, imbalances, sampled, now_us // SLOW_US)
        if state == self._state:
            return _NOTHING  # most ticks: no news
        self._state = state
        changed = dict(parts.options.refresh(True, option_items, configuration))
        changed.update(parts.identity.refresh((revisions, self._settings), self._identity))
        changed.update(parts.link.refresh((read, ages_us, notes), link_items, bank, limits is not None, notes))
        changed.update(parts.values.refresh((read, allowed), value_items, bank, values, limits))
        changed.update(parts.alarms.refresh(levels, alarm_items, levels))
        if limits is not None:
            changed.update(parts.limits.refresh(limits, limit_items, limits))
        for member, part in zip(members, parts.members):
            key = (member.live, member.battery.revision, member.released_min)
            changed.update(part.refresh(key, member_items, bank, member))
        if configuration.time_to_soc_points:
            every_us = max(SLOW_US, round(configuration.time_to_soc_cycles * configuration.poll_seconds * 1e6))
            points = (phases, now_us // every_us)
            changed.update(parts.time_to_soc.refresh(points, time_to_soc_items, configuration, values))
        if self.monitor is not None:
            changed.update(parts.cells.refresh(sampled, self.monitor.items))
        if len(members) > 1:
            changed.update(parts.seed.refresh((phases, imbalances), seed_bank_items, bank, imbalances))
            for member, part in zip(members, parts.seed_members):
                changed.update(part.refresh((member.phase, now_us // SLOW_US), seed_member_items, member))
        return changed

    def _notes(self, values: BankValues) -> Tuple[str, ...]:
        """What else the owner must know to read the numbers."""
        notes = ("current estimated",) if values.estimated else ()
        return notes if self.history_problem is None else (*notes, "no history: " + self.history_problem)

    @property
    def _settings(self) -> Tuple[Any, ...]:
        return self.custom_name, self.instance, self.selected

    def _identity(self) -> Items:
        return identity_items(
            self.bank,
            custom_name=self.custom_name,
            instance=self.instance or 0,
            program=self._program,
            selected=self.selected,
        )


def remembered_capacities(remembered: Mapping[str, Any]) -> Dict[str, int]:
    """What fits of the capacities that former runs saw, in mAh by battery."""
    capacities = remembered.get("capacities_mah")
    if not isinstance(capacities, dict):
        return {}
    return {battery: mah for battery, mah in capacities.items() if isinstance(mah, int) and mah > 0}
