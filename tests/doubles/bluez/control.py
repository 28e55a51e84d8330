"""The verbs that steer the double: one line of text each, I the number of a battery, N that of an adapter.

Links and advertising
  drop I                        the battery goes out of reach or hangs up
  adv I on|off                  whether it advertises
  hear I on|off N               whether adapter N hears it; a link stays
  remove_device I [N]           Adapter1.RemoveDevice on adapter N (0)
  vanish I [N]                  InterfacesRemoved on adapter N (0) without a disconnect before
  address_type I public|random  of objects that are exported from now on
Connecting
  connect_error I NAME TEXT [COUNT]   org.bluez.Error.NAME; with COUNT only so many attempts; `connect_error I -` ends it
  flicker I 0|1|2               an attempt that fails so shows Connected true, and false after (1) or before (2) the answer
  connect_timeout I S           how long a Connect waits for a battery that is not heard (40 s)
  connect_delay|discover_delay|disconnect_delay I S
  connected_late I S            Connect is answered S seconds before Connected becomes true
  phantom I 0|1                 connected, but ServicesResolved stays false and nothing is answered; also on a live link
  resolve I 0|1                 0: ServicesResolved stays false on links made from now on
  beat I S|-                    the link is dropped S seconds after every connect, beginning with the next
  stale I [N]                   already connected and resolved on adapter N (0), by a client that is gone
  hold I on|off [N]             another client holds it on adapter N (0), again 0.2 s after it was disconnected
Answers
  silent I 0|1 | corrupt I 0|1 | set I ATTR JSON       of the model
  notify_delay I S              before every notification
  lose I N                      the next N notifications are not delivered
  late I S                      answers come S seconds late, in order
  double I 0|1                  each answer is sent twice
  notify I HEX                  a notification out of turn
  requests I                    JSON: what was written to it
  delivered I                   JSON: the whole answer frames (hex) that reached a live subscription, uncorrupted
Adapters and bluetoothd
  remove_adapter [N] | add_adapter [N] | power on|off [N]
  discovery_error NAME TEXT [N] | discovery_error - [N]   what StartDiscovery answers, on all adapters without N
  filter_error NAME TEXT [N] | filter_error - [N]         what SetDiscoveryFilter answers
  freeze on|off                 calls are accepted and nothing is sent; afterwards all that waited is
  crash                         bluetoothd is killed: the name is lost, everything forgotten, no signals
  start                         bluetoothd comes again
  state I                       JSON: adapter (index or null), connecting (indices), subscribers
  stats                         JSON: calls by method, most links at once

Python 3.8.
"""

import json

_FLAGS = {"phantom": "phantom", "resolve": "resolves", "double": "double"}
_SECONDS = (
    "connect_timeout",
    "connect_delay",
    "discover_delay",
    "disconnect_delay",
    "notify_delay",
    "connected_late",
    "late",
)


class Control:
    """Runs verbs on a FakeBluez."""

    def __init__(self, bluez):
        self._bluez = bluez

    async def run(self, line):
        """Run one line; the answer, which begins with "error" if there is no such verb."""
        verb, *words = line.split()
        if verb in ("crash", "start"):
            await (self._bluez.stop() if verb == "crash" else self._bluez.start())
            return "ok"
        if verb in _FLAGS or verb in _SECONDS or verb in ("silent", "corrupt"):
            self._set_knob(verb, self._battery(words), words[1])
            return "ok"
        method = getattr(self, "_do_" + verb, None)
        if method is None:
            return "error unknown " + verb
        answer = method(words)
        return "ok" if answer is None else json.dumps(answer)

    def _battery(self, words):
        return self._bluez.batteries[int(words[0])]

    def _device(self, words, position):
        """The battery of the first word, as the adapter of the word at *position* (hci0 without it) knows it."""
        return self._bluez.device(self._battery(words), _number(words, position))

    def _set_knob(self, verb, battery, word):
        if verb in _SECONDS:
            setattr(battery, verb, float(word))
        elif verb in _FLAGS:
            setattr(battery, _FLAGS[verb], word == "1")
        else:
            setattr(battery.bms, verb, word == "1")

    # ---- links and advertising

    def _do_drop(self, words):
        self._bluez.drop(self._battery(words))

    def _do_adv(self, words):
        self._battery(words).advertise = words[1] == "on"

    def _do_hear(self, words):
        deaf, adapter = self._battery(words).deaf_adapters, int(words[2])
        (deaf.discard if words[1] == "on" else deaf.add)(adapter)

    def _do_remove_device(self, words):
        self._device(words, 1).remove()

    def _do_vanish(self, words):
        self._device(words, 1).vanish()

    def _do_address_type(self, words):
        self._battery(words).address_type = words[1]

    # ---- connecting

    def _do_connect_error(self, words):
        battery, rest = self._battery(words), words[1:]
        count = int(rest.pop()) if rest[-1].isdigit() else None
        battery.set_connect_error(None if rest[0] == "-" else rest[0], " ".join(rest[1:]), count)

    def _do_flicker(self, words):
        self._battery(words).flicker = int(words[1])

    def _do_beat(self, words):
        self._battery(words).beat = None if words[1] == "-" else float(words[1])

    def _do_stale(self, words):
        self._device(words, 1).take()

    def _do_hold(self, words):
        self._device(words, 2).hold(words[1] == "on")

    # ---- answers

    def _do_set(self, words):
        setattr(self._battery(words).bms, words[1], json.loads(" ".join(words[2:])))

    def _do_lose(self, words):
        self._battery(words).lose = int(words[1])

    def _do_notify(self, words):
        self._bluez.notify(self._battery(words), bytes.fromhex(words[1]))

    def _do_requests(self, words):
        return [request.hex() for request in self._battery(words).bms.requests]

    def _do_delivered(self, words):
        return self._battery(words).delivered

    # ---- adapters and bluetoothd

    def _do_remove_adapter(self, words):
        self._bluez.adapters[_number(words, 0)].disappear()

    def _do_add_adapter(self, words):
        self._bluez.adapters[_number(words, 0)].appear()

    def _do_power(self, words):
        self._bluez.adapters[_number(words, 1)].power(words[0] == "on")

    def _do_discovery_error(self, words):
        self._set_adapter_error("discovery_error", words)

    def _do_filter_error(self, words):
        self._set_adapter_error("filter_error", words)

    def _set_adapter_error(self, attribute, words):
        adapters = self._bluez.adapters
        if words[-1].isdigit():
            adapters = [adapters[int(words.pop())]]
        for adapter in adapters:
            setattr(adapter, attribute, None if words[0] == "-" else (words[0], " ".join(words[1:])))

    def _do_freeze(self, words):
        self._bluez.freeze(words[0] == "on")

    def _do_state(self, words):
        return self._bluez.state(self._battery(words))

    def _do_stats(self, words):
        return self._bluez.stats


def _number(words, position):
    return int(words[position]) if len(words) > position else 0
