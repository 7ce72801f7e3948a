"""The command line: the only modules that print, prompt or exit."""
