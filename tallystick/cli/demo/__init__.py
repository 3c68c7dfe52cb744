"""The demo: real processes that a new ledger tracks, shown while they run and afterwards."""
