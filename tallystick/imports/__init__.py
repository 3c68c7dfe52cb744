"""Imports: what others have written made a ledger's own: an export of a whole log, or what OpenClaw recorded.

An export becomes the very same log, position by position and byte by byte; so the ledger must be empty.
What OpenClaw recorded becomes commands that tasks and flows decide like any others, beside what is there already.
"""
