"""Recorded runs in SQLite: `recording` adds one, `reading` gives them back exactly, `pruning` lets old ones go."""
