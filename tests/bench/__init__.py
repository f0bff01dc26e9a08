"""Speed, measured: `python -m tests.bench` or `make bench`."""
