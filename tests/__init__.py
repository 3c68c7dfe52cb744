"""Tests mirror the sources, folder by folder; each test is a sentence about what somebody may rely on."""
