"""The file MLmodel, which every MLflow model has: what of it gates are about."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.core.gates import ModelFile
from tidegate.core.signatures import Column, Signature


def parsed(content: Any) -> ModelFile:
    """Read what the YAML of the file says.

    Raises:
        ValueError, TypeError, AttributeError, RecursionError: it is no such file.
    """
    if not isinstance(content, Mapping):
        raise ValueError("no mapping")  # noqa: TRY004 (of a text that somebody else wrote)
    size, signature = content.get("model_size_bytes"), content.get("signature")
    example = (content.get("saved_input_example_info") or {}).get("serving_input_path")
    known = {what: _columns(signature.get(what)) for what in ("inputs", "outputs", "params")} if signature else None
    return ModelFile(
        signature=Signature(**known) if known is not None else None,
        size=int(size) if size is not None else None,
        example=str(example) if example else None,
    )


def _columns(text: str | None) -> tuple[Column, ...] | None:
    columns = json.loads(text) if text else None
    if columns is None:
        return None
    if not isinstance(columns, Sequence) or not all(isinstance(column, Mapping) for column in columns):
        raise ValueError("a signature of another shape")
    return tuple(columns)
