"""What sends requests to a cluster all the time and keeps every answer; shared by end-to-end tests, demo and benchmarks."""
