"""The only code that knows SQL: the event log, and session files carried out of it."""
