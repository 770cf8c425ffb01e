"""Which revision an object belongs to."""

from typing import Any

import pytest

from tidegate.core.labels import REVISION, revision_label


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"metadata": {"labels": {REVISION: "fraud-v7-abc"}}}, "fraud-v7-abc"),
        ({"metadata": {"labels": {REVISION: 7}}}, None),
        ({"metadata": {"labels": None}}, None),
        ({"metadata": {}}, None),
        ({}, None),
    ],
)
def test_an_object_says_by_label_which_revision_it_belongs_to(body: dict[str, Any], name: str | None) -> None:
    assert revision_label(body) == name
