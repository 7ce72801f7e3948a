"""The tests: behaviour seen from outside, over real sockets and through real processes."""
