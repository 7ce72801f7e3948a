"""From a TOML file, a `.env` and the environment to accounts.

`sources` reads, `profile` finds the entries and opens those of a run, `entry` reads the values of each. `problems`
collects what is wrong, with its line. `thresholds` reads limits, `template` writes a new profile, `inspection` shows one.
"""
