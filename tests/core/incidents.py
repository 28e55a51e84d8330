"""Random life of a site: batteries fall silent and answer again, switches open, cells run away, sensors break, clocks
are set, the program is restarted. What must hold at every second is checked at every second.
"""

import json

from core.events import ClockStepped
from tests.core.physics import Pack, Site

TOPOLOGIES = ("single", "series", "parallel")
DISCHARGE_STOPS = ("undervoltage", "overcurrent", "short circuit", "temperature", "discharge switch", "mos breakdown")


def random_packs(random, topology):
    """One to three batteries, often near a knee of their curve, where limits move."""
    count = 1 if topology == "single" else random.randint(2, 3)
    cells = random.choice([4, 8])
    middle = random.choice([random.uniform(93, 99.8), random.uniform(1, 12), 50, random.uniform(5, 99)])
    return [
        Pack(
            "b{}".format(n),
            [middle + random.uniform(-1, 1) for _ in range(cells)],
            capacity_ah=random.choice([50, 100, 280]),
            cell_mohm=random.uniform(0.3, 0.9),
        )
        for n in range(count)
    ]


def random_site(random):
    """A site with random options."""
    topology = random.choice(TOPOLOGIES)
    return Site(
        random_packs(random, topology),
        topology=topology,
        linear=random.random() < 0.5,
        float_switching=random.random() < 0.8,
        absorption_max_s=random.choice([300, 14_400]),
        start_wait_seconds=20,
        estimate_lost=random.random() < 0.3,
        block_discharge_on_loss=random.random() < 0.2,
        hold_seconds=random.choice([30, 120, 600]),
    )


class Life:
    """Drives *site* by dice; *check* is called after every second with the life itself."""

    def __init__(self, random, check):
        self.random = random
        self.check = check
        self.site = random_site(random)
        self.flow = (0.0, 0.0)
        self.before = None
        """The items published the second before, while the service was on the bus."""

    def live(self, incidents):
        """So many things happen, with some time after each."""
        for _ in range(incidents):
            self.happen()
            for _ in range(self.random.choice([1, 3, 20, 60, 150])):
                self.before = dict(self.site.items) if self.site.on_bus else None
                self.site.step(charge_a=self.flow[0], load_a=self.flow[1])
                self.check(self)

    def happen(self):
        """One incident."""
        pack = self.random.choice(self.site.packs)
        choices = (self.silence, self.answer, self.answer, self.change, self.change, self.change, self.flow_changes,
                   self.flow_changes, self.clock, self.restart)  # fmt: skip
        self.random.choice(choices)(pack)

    def silence(self, pack):
        """Out of range."""
        pack.answers = False

    def answer(self, pack):
        """All are in range again."""
        for each in self.site.packs:
            each.answers = True

    def change(self, pack):
        """What the BMS reports becomes another."""
        name, values = self.random.choice(
            [
                ("fet", (3, 3, 1, 2, 0)),
                ("protection", (0, 0, 1, 2, 4, 8, 16, 1 << 9, 1 << 10, 1 << 11)),
                ("temperatures_dc", ((250,), (10, 250), (-50, 20), (470, 480), (560, 300), (1300, 250), ())),
                ("broken", ((), (), (2,))),
            ]
        )
        setattr(pack, name, self.random.choice(values))
        if self.random.random() < 0.2:
            pack.soc_pct[0] = self.random.uniform(0, 101)

    def flow_changes(self, pack):
        """Chargers and loads."""
        self.flow = self.random.choice([(60.0, 0.0), (0.0, 50.0), (0.0, 0.0), (30.0, 10.0), (5.0, 0.0)])

    def clock(self, pack):
        """Somebody sets the wall clock."""
        step_us = self.random.choice([3600, -3600, 86_400 * 365]) * 1_000_000
        self.site.wall_step_us += step_us
        self.site.fold(ClockStepped(step_us))

    def restart(self, pack):
        """The program ends, well or badly, and starts again with what it had saved."""
        old = self.site
        remembered = json.loads(json.dumps(old.view.remembered()))
        reboot = self.random.random() < 0.3
        self.site = Site(
            old.packs,
            start_s=50 if reboot else old.now_s + self.random.choice([2, 30, 600]),
            boot=old.boot + reboot,
            remembered=remembered,
            configuration=old.configuration,
        )
        self.before = None


def protective_cause(site):
    """Whether a battery's own last answer forbids discharging, or the owner does when it is lost."""
    service = site.view.service(site.main)
    if site.configuration.block_discharge_on_loss and service.bank.phase.value in ("LOST", "GONE"):
        return True
    for member in service.bank.members:
        pack = member.battery.pack
        if pack is None:
            continue
        cells = [mv for _, mv in member.battery.plausible_cells_mv()]
        temperatures = [t for _, t in member.battery.temperatures_dc()]
        tripped = {"cell_undervoltage", "pack_undervoltage", "discharge_overtemperature", "discharge_undertemperature",
                   "discharge_overcurrent", "short_circuit", "discharge_mos_breakdown"}  # fmt: skip
        if pack.discharge_fet_on is False or tripped & set(pack.protections):
            return True
        if (cells and min(cells) <= 2700) or any(t <= -200 or t >= 550 for t in temperatures):
            return True
    return False
