"""The machine: values in, values out. No clock, no I/O, no third-party import."""
