"""Answers as values, and the one shape of all failures: that of MLflow's REST errors."""

import json
from dataclasses import dataclass
from typing import Final

from tidegate_runtime.metrics import PredictionCounts

JSON: Final = "application/json"
# A complaint about an input may quote it; a client gets enough to see what is meant.
_LONGEST_MESSAGE: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer.

    Attributes:
        status: HTTP status.
        body: The body.
        media_type: Its Content-Type.
        predictions: The numeric predictions in it, if there are any.
        allow: The Allow header of a 405.
    """

    status: int
    body: bytes
    media_type: str = JSON
    predictions: PredictionCounts | None = None
    allow: str | None = None


def failure(status: int, error_code: str, message: str, *, allow: str | None = None) -> Answer:
    """Make the answer to a request that failed: ``{"error_code": ..., "message": ...}``."""
    body = json.dumps({"error_code": error_code, "message": message[:_LONGEST_MESSAGE]}).encode()
    return Answer(status=status, body=body, allow=allow)
