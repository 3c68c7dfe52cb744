"""Watching: how it is known whether the work behind a task is still there, and how it is stopped."""
