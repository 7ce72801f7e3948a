"""The proofs: commands that hold the program against oracles of their own, in many random cases, and print the figures."""
