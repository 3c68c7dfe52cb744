"""Proofs of what is in the log, in the formats of C2SP: values and their bytes, made and checked without the ledger."""
