"""The archive: sealed ranges of the log in compressed files that are read as if they were still in it."""
