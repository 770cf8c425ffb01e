"""Benchmarks on the whole embedded cluster: `make bench`, or `python -m tests.bench [name ...] [--trials N]`."""
