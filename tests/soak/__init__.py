"""Rollouts, reverts and misfortunes for as long as one likes: `python -m tests.soak`."""
