"""Read accounts from a TOML file, a `.env` file and the environment.

`sources` reads files and variables, `profile` opens the accounts of a run, and `entry` reads the values of each.
`problems` collects errors with their lines. `thresholds` reads limits, `template` writes a new profile, and
`inspection` shows one.
"""
