"""From a TOML file, a `.env` and the environment to accounts.

`source` reads, `variables` fills in, `profile` finds the entries, `accounts` makes accounts of them.
"""
