"""A durable ledger of tasks: what an application opens, and the names that it uses."""
