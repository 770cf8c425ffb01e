"""How long to wait after a failure, and another one, and another one. Whoever tries again goes by it."""

#: From here on it is not doubled any more: a float has an end, and a weekend of failures is more than a thousand.
_DOUBLED = 16


def backoff(failures: int, *, first: float, last: float) -> float:
    """Seconds to wait after so many failures in a row (from 1 on): `first`, doubled each time, at most `last`."""
    return float(min(last, first * 2.0 ** min(max(0, failures - 1), _DOUBLED)))
