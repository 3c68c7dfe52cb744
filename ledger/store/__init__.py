"""Where the log lives: one port, the LMDB store behind it, and its twin in memory."""
