"""Examples that run; the demo is one of them."""
