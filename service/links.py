"""The links of a run: one supervisor for each battery, and the one BlueZ that real ones share."""

from __future__ import annotations

from typing import Awaitable, Callable, Dict, Optional, Sequence

from adapters.clock import Clock
from adapters.dbus import Bluez, choose_address
from adapters.in_process import InProcessRadio
from adapters.link_supervisor import LinkSupervisor
from adapters.radio import Radio
from adapters.unlocker import Unlocker
from core import protocols
from core.events import Fact
from core.recovery import Recoveries
from service.plan import PlannedBattery


class Links:
    """Made from the plan; :meth:`parts` are to be run, :meth:`close` comes last."""

    def __init__(
        self,
        planned: Sequence[PlannedBattery],
        *,
        clock: Clock,
        record: Callable[[Fact], None],
        recoveries: Recoveries,
        poll_s: float,
        watchdog_s: float,
    ) -> None:
        self._bluez: Optional[Bluez] = None
        self._supervisors: Dict[str, LinkSupervisor] = {}
        reach = self._reacher(planned, clock)
        for battery in planned:
            known = battery.configuration
            protocol = protocols.find(known.protocol)
            self._supervisors[known.battery] = LinkSupervisor(
                known.battery,
                protocol,
                reach(battery),
                clock=clock,
                record=record,
                allow=lambda rung, name=known.battery: recoveries.allow(name, rung, clock.uptime_us()),  # type: ignore[misc]
                unlocker=Unlocker(protocol, known.address, battery.password, clock),
                poll_s=poll_s,
                watchdog_s=watchdog_s,
            )

    def _reacher(self, planned: Sequence[PlannedBattery], clock: Clock) -> Callable[[PlannedBattery], Radio]:
        def in_process(battery: PlannedBattery) -> Radio:
            assert battery.peripheral is not None
            return InProcessRadio(battery.peripheral, clock)

        if planned[0].peripheral is not None:
            return in_process
        from adapters.ble import AdapterBroker, BluezRadio  # bleak takes a third of a second to import

        bluez, broker = Bluez(choose_address("system")), AdapterBroker()
        self._bluez = bluez

        def real(battery: PlannedBattery) -> Radio:
            known = battery.configuration
            protocol = protocols.find(known.protocol)
            return BluezRadio(
                known.address, protocol, bluez=bluez, broker=broker, clock=clock, adapters=battery.adapters
            )

        return real

    @property
    def parts(self) -> Dict[str, Callable[[], Awaitable[None]]]:
        """What is to be run for ever, by name."""
        return {"link of " + battery: supervisor.run for battery, supervisor in self._supervisors.items()}

    def release(self, battery: str, minutes: int) -> None:
        """Free *battery* for a phone for so long."""
        self._supervisors[battery].release(minutes)

    async def close(self) -> None:
        """When every part has ended."""
        if self._bluez is not None:
            await self._bluez.close()
