"""Evidence of a run: its requests and responses, kept without a secret, and the replay of a run from them alone."""
