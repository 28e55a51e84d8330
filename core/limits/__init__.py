"""Charge control: how hard a battery may be charged and discharged now, and why."""
