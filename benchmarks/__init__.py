"""Measure balcli against its speed targets: run `python -m benchmarks` in a clone, in the venv to measure.

The rows with a peer need curl and jq, and the TLS row needs openssl. Counting instructions needs perf (with
counters) or valgrind. A row says what is missing. No Python packages besides balcli's are needed. It runs on
Linux only, because it reads /proc.

For publishable figures, install the wheel in a new venv (`pip install .`) and use its interpreter: an editable
install adds a file that every start of the interpreter reads.
"""
