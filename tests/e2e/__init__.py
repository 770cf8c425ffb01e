"""End-to-end tests on the whole embedded cluster."""
