"""What comes in: watches and HTTP. No logic."""

import sys

if "kubernetes" not in sys.modules:
    # kopf imports the client library where it is installed, to know that library's objects when it is handed some.
    # Nobody hands it any, and they weigh 16 MB (ADR 14): for that moment there is no such library.
    sys.modules["kubernetes"] = None  # type: ignore[assignment]  # what the import system takes for «not there»
    import kopf  # noqa: F401 (the others find it imported)

    del sys.modules["kubernetes"]
