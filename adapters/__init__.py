"""The outside world: clock, radio, D-Bus, and the batteries that live in the process."""
