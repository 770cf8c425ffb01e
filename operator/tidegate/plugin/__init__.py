"""`kubectl tidegate`: one file, the standard library, and `kubectl` for everything that goes over the network."""
