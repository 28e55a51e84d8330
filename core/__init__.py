"""The pure centre: events in, state and outputs out. No I/O, no clock, no asyncio."""
