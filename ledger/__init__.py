"""The truth: what happened to every task, the rules that allow it, and the log that keeps it."""
