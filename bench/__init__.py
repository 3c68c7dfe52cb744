"""Measurements: one file per question, each answer a ratio of figures from one run."""
