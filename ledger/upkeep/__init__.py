"""Upkeep: what is amiss, what settles it, and what is kept how long. One table for audit and maintenance. Pure."""
