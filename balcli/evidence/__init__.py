"""Evidence of a run: what was asked and answered, kept without a secret, and told again from that alone."""
