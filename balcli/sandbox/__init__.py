"""The stand-in for the three providers: what they answer, over real HTTP, on the loopback address alone.

It serves a first look, the README's examples and the tests. Nothing but the CLI and the tests imports it.
"""

from balcli.sandbox.server import Question, Reply, Sandbox, fault_names, json_reply

__all__ = ["Question", "Reply", "Sandbox", "fault_names", "json_reply"]
