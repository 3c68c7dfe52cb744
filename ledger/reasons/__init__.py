"""The reasons: why a task or a flow is what it is. Pure."""
