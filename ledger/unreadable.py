"""The unreadable: all that a decoder may raise about bytes that may be anything. Pure."""

from typing import Final

UNREADABLE: Final = (ValueError, RecursionError)
"""What is raised for bytes that cannot be read, as MessagePack, JSON or TOML.

msgspec's own error is the first, and not all: text that is no UTF-8 and a number of too many digits are errors of
Python, of the same kind; arrays within arrays without end are one of another.
"""
