"""What must hold before a new version gets its first request."""

import re
from typing import Annotated

from pydantic import Field

from tidegate.api.rules import Rule, Text, Unique, Wire
from tidegate.api.scalars import Duration, between

_TAG = r"^[a-zA-Z0-9_./ :-]+$"
_LONGEST = 250
_REMEDY = "must name tags as MLflow writes them, such as validation_status: letters, digits, '_', '-', '.', '/', ':'"

_Tag = Annotated[str, Text(pattern=_TAG, max_length=_LONGEST, remedy=_REMEDY)]
_Tags = Annotated[
    dict[str, Annotated[str, Field(min_length=1, max_length=256)]],
    Field(max_length=16),
    Rule(
        cel=f"self.all(name, size(name) <= {_LONGEST} && name.matches('{_TAG}'))",
        holds=lambda tags: all(len(name) <= _LONGEST and re.fullmatch(_TAG, name, re.ASCII) for name in tags),
        message=_REMEDY,
    ),
]


class Gates(Wire):
    """What must hold before a new version gets its first request.

    A version that goes back into traffic within rollout.rollbackWindow passed them when it came, and passes no more.
    """

    tags: _Tags | None = None
    """Tags that the version must have in the registry, with these values. One that is missing, or has another value, is
    waited for."""
    tags_present: Annotated[list[_Tag], Field(max_length=16), Unique()] | None = None
    """Tags that the version must have, whatever their values. One that is missing is waited for."""
    max_age: Annotated[Duration, between("1m", "87600h")] | None = None
    """How long ago the version may have been registered at the most, such as 720h. An older one is rejected."""
