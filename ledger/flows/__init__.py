"""Flows, as rules: what is known of one, what may follow, and when one mirrors a task. Pure."""
