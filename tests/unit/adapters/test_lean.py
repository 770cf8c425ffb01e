import json

import pytest

from tidegate.adapters.access import lean


def test_managed_fields_are_left_out_and_nothing_else() -> None:
    told = {
        "metadata": {"name": "a", "managedFields": [{"manager": "kubectl"}], "labels": {"managedFields": "mine"}},
        "items": [{"metadata": {"managedFields": []}, "spec": {"n": 1, "x": None, "y": True}}],
    }
    assert lean(json.dumps(told)) == {
        "metadata": {"name": "a", "labels": {"managedFields": "mine"}},
        "items": [{"metadata": {}, "spec": {"n": 1, "x": None, "y": True}}],
    }


def test_what_is_no_json_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        lean(b"<html>")
