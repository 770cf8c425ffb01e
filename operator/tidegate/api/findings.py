"""From what pydantic found wrong to (field path, what is wrong and the way out)."""

import re
from collections.abc import Iterator

from pydantic import ValidationError
from pydantic_core import ErrorDetails


def findings(error: ValidationError, kind: str) -> Iterator[tuple[str, str]]:
    """Everything that is wrong with an object of a kind, by paths as the API server writes them."""
    for detail in error.errors(include_url=False):
        at = _path(detail["loc"])
        for field, message in detail.get("ctx", {}).get("findings", [("", _message(detail, kind))]):
            yield (f"{at}.{field}" if field[:1] not in {"", "["} else f"{at}{field}", message)


def _path(location: tuple[int | str, ...]) -> str:
    """Write a location as the API server does: `spec.rollout.steps[1].weight`."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _message(detail: ErrorDetails, kind: str) -> str:
    match detail["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return f"is no field of {kind} v1alpha1: remove it, or look for a typing error"
        case _:
            said = re.sub(r"^(Input|List|Dictionary|String) should", "must", detail["msg"])
            return said.replace(" after validation", "")
