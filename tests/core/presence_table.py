"""What a bank publishes for every assignment of live, stale, lost and never seen to its members.

Three parts: :func:`observed` plays an assignment through the product with JBD frames and time; :func:`expected` says
what the rules (venus-dbus D.4, charge-control 6.2 and 6.3) ask for, from arithmetic of its own; :func:`rendered` is the
table of ``core/README.md``. Write that anew with ``python -m tests.core.presence_table``.
"""

from functools import lru_cache
from itertools import combinations_with_replacement
from pathlib import Path

from core.configuration import PARALLEL, SERIES, SINGLE, BatteryConfiguration, Configuration
from core.live import LiveView
from core.service_view import LEFT
from tests.core.made import basic, cells, event, reading, started

LIVE, STALE, LOST, NEVER = STATES = ("live", "stale", "lost", "never")
BEGIN_S, LOOK_S, LATER_S = 100, 156, 186
LAST_ANSWER_S = {LIVE: LATER_S, STALE: 120.5, LOST: 110.5}
"""At LOOK_S a stale member is 35.5 s old and a lost one 45.5 s; at LATER_S the one is LOST and the other GONE."""
TIMES = {"hold_seconds": 40, "remove_seconds": 30, "start_wait_seconds": 10}
BULK_V, FLOAT_V, FALLING_V = 13.8, 13.4, 13.58
"""Of four cells; FALLING_V: held for 15 s after 15 s, then straight down to float at 40 s, seen at 35.5 s."""
MAX_CHARGE_A, SILENT_CHARGE_A, MAX_DISCHARGE_A = 70.0, 7.0, 90.0

README = Path(__file__).resolve().parents[2] / "core" / "README.md"
BEGIN_MARK = "<!-- presence table: python -m tests.core.presence_table -->"
END_MARK = "<!-- end of the presence table -->"


class Truth:
    """What member *number* of *topology* measures: different for each, so that no sum hides a missing one."""

    def __init__(self, number, topology):
        self.number = number
        self.capacity_ah = 100.0 * number
        self.soc_pct = 40 + 5 * number
        self.cells_mv = [3310 + 10 * number + cell for cell in (1, 2, 3, 4)]
        self.voltage_v = sum(self.cells_mv) / 1000
        self.current_a = -1.0 * number if topology == PARALLEL else -5.0 - 0.1 * number
        self.temperatures_c = (20.0 + number, 25.0 + number)
        self.remaining_ah = self.capacity_ah * self.soc_pct / 100

    def frames(self):
        """As its BMS says it."""
        pack = basic(
            voltage_mv=round(self.voltage_v * 1000), current_ma=round(self.current_a * 1000), soc_pct=self.soc_pct,
            nominal_mah=round(self.capacity_ah * 1000), remaining_mah=round(self.remaining_ah * 1000),
            temperatures_dc=[round(c * 10) for c in self.temperatures_c],
        )  # fmt: skip
        return pack, cells(*self.cells_mv)


def known(number):
    """The configuration of member *number*."""
    return BatteryConfiguration("ble_{}".format(number), "A4:C1:37:00:00:0{}".format(number))


def main_service(topology):
    """Its bus name."""
    return "com.victronenergy.battery." + ("ble_1" if topology == SINGLE else "virtual_" + topology)


@lru_cache(maxsize=None)
def observed(topology, states):
    """The items of the service at LOOK_S (``None``: not on the bus), and whether it has left at LATER_S."""
    numbers = range(1, len(states) + 1)
    configuration = Configuration(tuple(known(n) for n in numbers), topology=topology, **TIMES)
    view = LiveView()
    view.fold(event(started(configuration), BEGIN_S))
    items, publications = None, []
    for now_s in range(BEGIN_S, LATER_S, 10):
        for number, state in zip(numbers, states):
            at_s = now_s + 0.5
            if at_s <= LAST_ANSWER_S.get(state, 0):
                for frame in Truth(number, topology).frames():
                    publications += view.fold(event(reading(frame, known(number).battery), at_s))
        if now_s < LOOK_S <= now_s + 10:
            publications += view.advance(LOOK_S * 1_000_000)
            items = folded(publications, main_service(topology))
    publications += view.advance(LATER_S * 1_000_000)
    return items, any(p.change == LEFT for p in publications)


def folded(publications, service):
    """The items of *service* after *publications*; ``None``: not on the bus."""
    items = None
    for publication in publications:
        if publication.service == service:
            items = None if publication.change == LEFT else {**(items or {}), **publication.items}
    return items


class Rules:
    """What the rules ask for. ``None``: the path is there and invalid. Paths that are not mentioned are not judged."""

    def __init__(self, topology, states):
        self.topology, self.states = topology, states
        self.all = [Truth(number, topology) for number in range(1, len(states) + 1)]
        self.live = self.those(LIVE)
        self.seen = self.those(LIVE, STALE, LOST)
        self.present = self.those(LIVE, STALE)
        self.parallel = topology == PARALLEL
        self.everybody_is_live = len(self.live) == len(self.all)
        self.on_bus = bool(self.seen) and (self.parallel or len(self.seen) == len(self.all))
        self.lost = not self.present if self.parallel else LOST in states
        self.left_later = self.on_bus and ((LOST in states) if not self.parallel else not self.present)
        self.capacities_known = len(self.seen) == len(self.all)

    def those(self, *states):
        """Members in one of *states*."""
        return [truth for truth, state in zip(self.all, self.states) if state in states]

    def voltage(self):
        """Mean by capacity of who is live; a string needs everybody."""
        value = None
        if self.parallel and self.live:
            value = sum(t.voltage_v * t.capacity_ah for t in self.live) / sum(t.capacity_ah for t in self.live)
        elif self.everybody_is_live:
            value = sum(t.voltage_v for t in self.live)
        return {"/Dc/0/Voltage": value}

    def current(self):
        """A sum needs everybody; in a string the same current flows through those who are live."""
        currents = sorted(t.current_a for t in self.live)
        if self.parallel:
            return {"/Dc/0/Current": sum(currents) if self.everybody_is_live else None}
        middle = [currents[(len(currents) - 1) // 2], currents[len(currents) // 2]] if currents else []
        return {"/Dc/0/Current": sum(middle) / 2 if middle else None}

    def power(self):
        """Voltage times current, if both are known."""
        voltage, current = self.voltage()["/Dc/0/Voltage"], self.current()["/Dc/0/Current"]
        return {"/Dc/0/Power": None if voltage is None or current is None else voltage * current}

    def judged(self):
        """The members whose cells and temperatures stand for the whole: those live; in a string all or none."""
        return self.live if self.parallel or self.everybody_is_live else []

    def named(self, truth, kind, n):
        """``C3``, ``B2C3``, ``C7`` of a string, ``B2T1``."""
        if self.topology == SINGLE:
            return "{}{}".format(kind, n)
        if self.topology == SERIES and kind == "C":
            return "C{}".format(4 * (truth.number - 1) + n)
        return "B{}{}{}".format(truth.number, kind, n)

    def extremes(self):
        """Of all cells that count; the spread inside the worst battery, or of the string; the mean or whole sum."""
        paths = ["/System/" + p for p in ("MinCellVoltage", "MinVoltageCellId", "MaxCellVoltage", "MaxVoltageCellId")]
        paths += ["/Voltages/Sum", "/Voltages/Diff"]
        every = [(mv / 1000, self.named(t, "C", n)) for t in self.judged() for n, mv in enumerate(t.cells_mv, 1)]
        if not every:
            return dict.fromkeys(paths)
        total = sum(t.voltage_v for t in self.judged())
        spread = 0.003 if self.parallel else max(every)[0] - min(every)[0]
        return dict(zip(paths, (*min(every), *max(every), total / (len(self.live) if self.parallel else 1), spread)))

    def temperatures(self):
        """The mean, and the true extremes with their places."""
        paths = ["/Dc/0/Temperature", "/System/MinCellTemperature", "/System/MinTemperatureCellId"]
        paths += ["/System/MaxCellTemperature", "/System/MaxTemperatureCellId"]
        every = [(c, self.named(t, "T", n)) for t in self.judged() for n, c in enumerate(t.temperatures_c, 1)]
        if not every:
            return dict.fromkeys(paths)
        return dict(zip(paths, (sum(c for c, _ in every) / len(every), *min(every), *max(every))))

    def installed_ah(self):
        """Of everybody; unknown if somebody's never was."""
        capacities = [t.capacity_ah for t in self.all]
        return None if not self.capacities_known else sum(capacities) if self.parallel else min(capacities)

    def capacity(self):
        """What the whole was made for."""
        return {"/InstalledCapacity": self.installed_ah()}

    def charge(self):
        """Held: by capacity in parallel, the worst of a string."""
        soc, installed_ah = min(t.soc_pct for t in self.seen), self.installed_ah()
        remaining_ah = min(t.remaining_ah for t in self.seen)
        if self.parallel:
            soc = sum(t.soc_pct * t.capacity_ah for t in self.seen) / sum(t.capacity_ah for t in self.seen)
            remaining_ah = None if installed_ah is None else installed_ah * soc / 100
        consumed_ah = None if installed_ah is None else remaining_ah - installed_ah
        return {"/Soc": soc, "/Capacity": remaining_ah, "/ConsumedAmphours": consumed_ah}

    def cvl(self):
        """Bulk; falling to float while somebody is stale; float when somebody is lost."""
        cell_v = BULK_V if self.everybody_is_live else FALLING_V
        if LOST in self.states or NEVER in self.states:
            cell_v = FLOAT_V
        return {"/Info/MaxChargeVoltage": cell_v * (1 if self.parallel else len(self.all))}

    def steady_a(self, live_a, stale_a):
        """What the members that are there allow, each by its share of their capacity."""
        limits = {t.number: live_a if t in self.live else stale_a for t in self.present}
        if not self.parallel:
            return min(limits.values())
        total_ah = sum(t.capacity_ah for t in self.present)
        return min([sum(limits.values())] + [limits[t.number] * total_ah / t.capacity_ah for t in self.present])

    def ccl(self):
        """(least, most) A. 0 when lost; what is back after a loss rises with patience."""
        if self.lost:
            return 0.0, 0.0
        most_a = self.steady_a(MAX_CHARGE_A, SILENT_CHARGE_A)
        if not self.capacities_known:
            return 0.1, most_a  # by how much less for a member of unknown size is not said
        most_a *= sum(t.capacity_ah for t in self.present) / sum(t.capacity_ah for t in self.all)
        return (0.1 if LOST in self.states else most_a), most_a

    def dcl(self):
        """(least, most) A. Never 0 for a silence: held, or falling over a minute to what the others allow."""
        by_capacity = [MAX_DISCHARGE_A * sum(t.capacity_ah for t in self.seen) / t.capacity_ah for t in self.seen]
        full_a = min(by_capacity + [MAX_DISCHARGE_A * len(self.seen)]) if self.parallel else MAX_DISCHARGE_A
        return (full_a if self.lost else self.steady_a(MAX_DISCHARGE_A, MAX_DISCHARGE_A)), full_a

    def connected(self):
        """0 and an error once the whole is lost."""
        return {"/Connected": int(not self.lost), "/State": 10 if self.lost else 9}

    def allowed(self):
        """As the limits say."""
        return {"/Io/AllowToCharge": int(not self.lost), "/Io/AllowToDischarge": 1}

    def modules(self):
        """Who is live, who is not, and who has a switch open, as far as somebody can tell."""
        silent = len(self.all) - len(self.live)
        nobody = None if not self.live else 0
        return {
            "/System/NrOfModulesOnline": len(self.live),
            "/System/NrOfModulesOffline": silent,
            "/System/NrOfModulesBlockingCharge": silent if self.lost else nobody,
            "/System/NrOfModulesBlockingDischarge": 0 if self.lost else nobody,
            "/System/NrOfBatteries": len(self.all),
            "/System/NrOfCellsPerBattery": 4,
        }

    def alarms(self):
        """Of the link: 1 while somebody is lost. Of the BMS: judged as long as somebody is live."""
        cable = int(LOST in self.states or NEVER in self.states)
        return {"/Alarms/BmsCable": cable, "/Alarms/HighCellVoltage": 0 if self.live else None}

    def members(self):
        """The pages of each member: only who is live says something; Capacity and identity stay."""
        paths = {}
        for truth in self.all:
            below, live = "/Battery/{}/".format(truth.number), truth in self.live
            paths[below + "Serial"] = known(truth.number).address
            paths[below + "ReleaseMinutes"] = 0
            paths[below + "Capacity"] = truth.remaining_ah if truth in self.seen else None
            paths[below + "Voltage"] = truth.voltage_v if live else None
            paths[below + "Current"] = truth.current_a if live else None
            paths[below + "Temperature"] = sum(truth.temperatures_c) / 2 if live else None
            for n, mv in enumerate(truth.cells_mv if truth in self.seen else (), 1):
                place = "{}X{}".format(truth.number, n) if self.parallel else str(4 * (truth.number - 1) + n)
                paths[below + "Cell/{}/Voltage".format(n)] = mv / 1000 if live else None
                paths["/Voltages/Cell" + place] = mv / 1000 if live else None
                paths["/Balances/Cell" + place] = 0 if live else None
        return paths


VALUES = (
    "voltage", "current", "power", "extremes", "temperatures", "charge", "capacity", "cvl", "connected", "allowed",
    "modules", "alarms", "members",
)  # fmt: skip
"""Groups of paths with exact values; the names of methods of :class:`Rules`."""
LIMITS = {"ccl": "/Info/MaxChargeCurrent", "dcl": "/Info/MaxDischargeCurrent"}


COLUMNS = (
    "members", "V", "I, P", "cells", "temperatures", "SoC", "Capacity", "Installed", "CVL", "CCL", "DCL", "Connected",
    "Allow", "modules", "BmsCable", "a loss later",
)  # fmt: skip


def _row(topology, states):
    """One line of the table, in words."""
    rules = Rules(topology, states)
    first = "{}: {}".format(topology, ", ".join("never seen" if state == NEVER else state for state in states))
    if not rules.on_bus:
        return [first, "not on the bus"] + [""] * (len(COLUMNS) - 2)
    amount = "all" if rules.everybody_is_live else "of the live"
    cvl = {FLOAT_V: "float", FALLING_V: "falling to float", BULK_V: "by phase"}
    present = "by shares" if rules.parallel and len(rules.present) > 1 else "smallest" if len(states) > 1 else "own"
    held = "held" if rules.lost else present if rules.everybody_is_live or rules.parallel else "held"
    return [
        first,
        "–" if rules.voltage()["/Dc/0/Voltage"] is None else amount,
        "–, –" if rules.current()["/Dc/0/Current"] is None
        else "{}, {}".format(amount, "–" if rules.power()["/Dc/0/Power"] is None else amount),
        amount if rules.judged() else "–",
        amount if rules.judged() else "–",
        "held" if not rules.everybody_is_live else "all",
        "–" if rules.charge()["/Capacity"] is None else "held" if not rules.everybody_is_live else "all",
        "–" if rules.installed_ah() is None else "all",
        cvl[round(rules.cvl()["/Info/MaxChargeVoltage"] / (1 if rules.parallel else len(states)), 2)],
        "0 A" if rules.lost else "10 %" if STALE in states else present if rules.everybody_is_live else "less",
        held,
        str(int(not rules.lost)),
        "discharge" if rules.lost else "both",
        "{} of {}".format(len(rules.live), len(states)),
        str(rules.alarms()["/Alarms/BmsCable"]),
        "leaves" if rules.left_later else "stays",
    ]  # fmt: skip


def rendered():
    """The part of the table for one and two members, as Markdown. What is the same in another order stands once."""
    cases = [(SINGLE, 1), (SERIES, 2), (PARALLEL, 2)]
    rows = [_row(topology, s) for topology, n in cases for s in combinations_with_replacement(STATES, n)]
    lines = [list(COLUMNS), ["---"] * len(COLUMNS), *rows]
    return "\n".join("| {} |".format(" | ".join(line)) for line in lines) + "\n"


def with_table(text):
    """*text* with the table between its marks."""
    before, rest = text.split(BEGIN_MARK)
    return "{}{}\n\n{}\n{}{}".format(before, BEGIN_MARK, rendered(), END_MARK, rest.split(END_MARK)[1])


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
