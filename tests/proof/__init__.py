"""The proofs: commands that compare the program with independent oracles in many random cases, and print figures."""
