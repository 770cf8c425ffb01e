"""Reading the file MLmodel, whatever somebody wrote into it."""

from typing import Any

import pytest

from tidegate.adapters.model_file import parsed
from tidegate.core.gates import ModelFile


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        "flavors",
        {"signature": "none"},
        {"signature": {"inputs": "{"}},
        {"signature": {"inputs": '{"a": 1}'}},
        {"signature": {"inputs": "[1]"}},
        {"signature": {"inputs": 7}},
        {"model_size_bytes": "large"},
    ],
)
def test_what_is_none_is_refused(content: Any) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError)):
        parsed(content)


def test_what_is_missing_is_not_known() -> None:
    assert parsed({}) == ModelFile()
    signature = parsed({"signature": {"inputs": None, "outputs": "[]"}}).signature
    assert signature is not None
    assert (signature.inputs, signature.outputs, signature.params) == (None, (), None)
