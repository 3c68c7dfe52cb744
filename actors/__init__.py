"""What runs: the dispatcher, the task actors, the journal and the projectors that follow it."""
