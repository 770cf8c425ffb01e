"""Sends requests to a cluster all the time and keeps every answer; for end-to-end tests, demo and benchmarks."""
