"""How hard the property tests look: a profile, chosen by HYPOTHESIS_PROFILE."""

import os

from hypothesis import settings

# No profile has a deadline: a test that waits for a disk says nothing about the property.
settings.register_profile("dev", deadline=None, max_examples=50)
settings.register_profile(
    "ci", deadline=None, max_examples=100, derandomize=True, database=None, print_blob=True
)  # the same examples every time, so that a red build is about the change
settings.register_profile("thorough", deadline=None, max_examples=5_000, stateful_step_count=100)

settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))
