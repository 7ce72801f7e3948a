"""Evidence of a run: its requests and responses without secrets, and the replay of a run from them."""
