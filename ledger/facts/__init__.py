"""The facts: what may be recorded, past tense, each with a name on disk that is not a Python path."""
