"""Measures balcli against the targets of its speed: `python -m benchmarks`, from a clone, in the venv to measure.

It needs curl and jq for the rows with a peer, openssl for the one over TLS, and perf (with counters) or
valgrind to count instructions; a row says what it lacks. Of Python's packages it needs those of balcli alone.
It is for Linux: it reads /proc.

For figures to quote, make a venv of its own, install the wheel there (`pip install .`) and run the command
with its interpreter: an editable install adds a file that every start of the interpreter reads.
"""
