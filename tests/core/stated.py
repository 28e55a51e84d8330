"""Computes a limit again from nothing but the reason that was published with it, and the second of its publication.

Written from what the reasons say to an owner, not from the code that makes them: an arithmetic of its own.
"""

import re

NUMBER = r"(-?[\d.]+(?:e[+-]?\d+)?)"
_PRODUCTS = re.compile(r"(\d+) x {} V".format(NUMBER))


def _find(pattern, text):
    return re.search(pattern.replace("#", NUMBER), text)


def _numbers(match):
    return [float(group) for group in match.groups()]


def _targets(text):
    """``8 x 3.45 V + 8 x 3.5 V``"""
    assert re.fullmatch(r"(\d+ x [\d.]+ V( \+ )?)+", text), text
    return sum(int(cells) * float(volt) for cells, volt in _PRODUCTS.findall(text))


def stated_volts(text, now_s):
    """A voltage limit in V."""
    match = re.fullmatch(r"rising from # V at # s of uptime, # V a second \((.*)\)".replace("#", NUMBER), text)
    if match:
        start, since, rate = (float(group) for group in match.groups()[:3])
        return min(stated_volts(match.group(4), now_s), start + rate * (now_s - since))
    match = re.fullmatch(r"held at # V, may rise from # s of uptime \(.*\)".replace("#", NUMBER), text)
    if match:
        assert now_s < float(match.group(2))
        return float(match.group(1))
    match = re.fullmatch(r"falling from # V by # V in # s \(.*\)".replace("#", NUMBER), text)
    if match:
        return float(match.group(1)) - float(match.group(2))
    match = re.fullmatch(r"falling from # V at # s of uptime, # V a second, to (.*)".replace("#", NUMBER), text)
    if match:
        start, since, rate = (float(group) for group in match.groups()[:3])
        return max(_targets(match.group(4)), start - rate * (now_s - since))
    match = _find(r"is silent: falling from # V at # s of uptime, # V a second, to # V$", text)
    if match:
        start, since, rate, end = _numbers(match)
        return max(end, start - rate * (now_s - since))
    match = _find(r"is silent: held at # V$", text) or _find(r"or less as held: # V$", text)
    if match:
        return _numbers(match)[0]
    match = _find(r"cells # V - # V above \+ # V - # V rising, at least # V$", text)
    if match:
        total, above, margin, rising, floor = _numbers(match)
        return max(total - above + margin - rising, floor)
    match = _find(r"cells # V - penalty # V, at least # V$", text)
    if match:
        total, penalty, floor = _numbers(match)
        return max(total - penalty, floor)
    return _targets(text.rpartition(" missing: float, ")[2])


def stated_amperes(text, now_s):
    """A current limit in A."""
    match = re.fullmatch(r"rising from # A at # s of uptime, # A a second \((.*)\)".replace("#", NUMBER), text)
    if match:
        start, since, rate = (float(group) for group in match.groups()[:3])
        return min(stated_amperes(match.group(4), now_s), start + rate * (now_s - since))
    match = re.fullmatch(r"held at # A, may rise from # s of uptime \(.*\)".replace("#", NUMBER), text)
    if match:
        assert now_s < float(match.group(2))
        return float(match.group(1))
    if re.match(r"0 A until more than ", text):
        return 0.0
    match = re.fullmatch(r"battery \d+ is (?:silent|lost): held at # A(?: \(.*\))?".replace("#", NUMBER), text)
    if match:
        return float(match.group(1))
    before, semicolon, last = text.rpartition("; ")
    if semicolon:
        return _scaled(stated_amperes(before, now_s), last, now_s)
    return _plain_amperes(text)


def _scaled(inner, how, now_s):
    match = _find(r"takes # of the current$", how)
    if match:
        return inner / _numbers(match)[0]
    match = _find(r"^# of # (?:Ah|batteries) are lost$", how)
    if match:
        lost, total = _numbers(match)
        return inner * (total - lost) / total
    match = _find(r"^a battery left at # s of uptime: # A more, falling to 0 over 60 s$", how)
    assert match, how
    since, more = _numbers(match)
    return inner + more * (1 - (now_s - since) / 60)


def _plain_amperes(text):
    match = _find(r"carried # A instead of # A while all carried # A$", text)
    if match:
        carried, allowed, total = _numbers(match)
        return total * allowed / carried
    if text.startswith("all batteries together: "):
        return sum(float(each) for each in re.findall(NUMBER + " A", text))
    match = _find(r"at #(?: V| C| %): # A x # \((line|level) from #(?: V| C| %): # to #(?: V| C| %): #\)$", text)
    if match:
        return _by_table(match)
    match = _find(r"(?:missing|silent): # A x #$", text)
    if match:
        maximum, fraction = _numbers(match)
        return maximum * fraction
    match = _find(r": # A$", text)
    assert match, text
    return _numbers(match)[0]


def _by_table(match):
    """The fraction must follow from the input and the two points that are named."""
    at, maximum, fraction, kind, low, low_fraction, high, high_fraction = match.groups()
    at, fraction, low, high = float(at), float(fraction), float(low), float(high)
    low_fraction, high_fraction = float(low_fraction), float(high_fraction)
    if kind == "line":
        assert low <= at <= high
        expected = low_fraction + (high_fraction - low_fraction) * (at - low) / (high - low)
        assert abs(fraction - expected) < 1e-6, match.group()
    else:
        assert fraction in (low_fraction, high_fraction), match.group()
    return float(maximum) * fraction


def check_limits(items, now_s):
    """Every published limit follows from its own words, within the rounding of the path."""
    mode, _, reason = items["/Info/ChargeMode"].partition(": ")
    assert mode in ("Bulk", "Absorption", "Float", "Float Transition")
    volts = stated_volts(reason, now_s)
    assert -1e-4 <= volts - items["/Info/MaxChargeVoltage"] < 0.01 + 1e-4, (
        volts,
        items["/Info/MaxChargeVoltage"],
        reason,
    )
    for path, why in (("Charge", "ChargeLimitation"), ("Discharge", "DischargeLimitation")):
        shown, reason = items["/Info/Max{}Current".format(path)], items["/Info/" + why]
        amperes = stated_amperes(reason, now_s)
        if 0 < amperes < 0.1:
            assert shown == 0.1, (shown, reason)
        else:
            assert abs(amperes - shown) <= 0.05 + 1e-4, (amperes, shown, reason)
