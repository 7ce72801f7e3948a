"""Tests of the visible behaviour, with real sockets and real processes."""
