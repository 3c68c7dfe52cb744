"""Sharing: how several processes write one ledger, through the one that owns it."""
