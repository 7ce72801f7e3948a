"""From a TOML file, a `.env` and the environment to accounts.

`sources` reads, `profile` finds the entries, `entry` reads the values of each, `accounts` makes accounts of them.
"""
