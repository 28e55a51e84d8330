"""What a recorded session's configuration would have been with other options. Its batteries stay who they were."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Dict, List, Tuple

from attrs import evolve, frozen

from config.addresses import RecordedAddress
from config.batteries import load_batteries
from config.loader import load
from config.translation import battery_configuration
from config.values import DEFAULTS, Values
from core.configuration import BatteryConfiguration, Configuration
from service.plan import PlannedBattery, plan_configuration


@frozen
class TriedOptions:
    """Options to try on a recording."""

    values: Values
    own: Dict[str, Values]
    """By battery: what counts for one that has a file of its own."""

    @classmethod
    def load(cls, arguments: Namespace) -> Tuple[TriedOptions, List[str]]:
        """Those of ``--config`` and ``--set``, and the warnings. Raises :class:`ConfigError`."""
        values, warnings = load(Path(arguments.config) if arguments.config else None, arguments.set)
        named, more = load_batteries((), values)
        own = {each.address.battery: each.values for each in named if not isinstance(each.address, RecordedAddress)}
        return cls(values, own), warnings + more

    def configuration(self, recorded: Configuration) -> Configuration:
        """*recorded* as these options would have made it.

        Who the batteries are, how they are together unless TOPOLOGY says so, DeviceInstance and ProductId stay.
        Raises :class:`ConfigError` when the batteries do not fit together.
        """
        topology = None if self.values.places["TOPOLOGY"].layer != DEFAULTS else recorded.topology
        planned = [PlannedBattery(self._battery(battery), recorded_topology=topology) for battery in recorded.batteries]
        configuration = plan_configuration(planned, self.values, recorded.device_instance)
        return evolve(configuration, product_id=recorded.product_id)

    def _battery(self, recorded: BatteryConfiguration) -> BatteryConfiguration:
        values = self.own.get(recorded.battery, self.values)
        known = battery_configuration(
            values, recorded.battery, recorded.address, connection=recorded.connection, family=recorded.protocol
        )
        return evolve(known, label=recorded.label, insecure_connection=recorded.insecure_connection)
