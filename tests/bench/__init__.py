"""Benchmarks, run by `python -m tests.bench` or `make bench`."""
