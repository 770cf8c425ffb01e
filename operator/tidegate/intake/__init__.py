"""What comes in: watches and HTTP. No logic."""
