"""The only place that orders I/O."""
