"""Keeping: the upkeep that a live owner does by itself, some at a time, beside whoever writes."""
