"""Recorded runs in SQLite: `recording` adds one, `reading` and `series` read them back, `pruning` deletes old ones."""
