"""What is right and wrong about gates."""

from collections.abc import Mapping
from typing import Any

from tests.unit.api.case import right, wrong


def _gates(**gates: Any) -> Mapping[str, Any]:
    return {"gates": gates}


RIGHT_GATES = (
    right("no gate", _gates()),
    right("tags with values", _gates(tags={"validation_status": "approved", "team/owner": "fraud: eu"})),
    right("tags that are present", _gates(tagsPresent=["schema_version", "a b.c-d:e"])),
    right("an age of ten years", _gates(maxAge="87600h")),
    right("no tags at all", _gates(tags={}, tagsPresent=[])),
)
GATES = (
    wrong("an unknown gate", "spec.gates.approval", _gates(approval=True)),
    wrong("a tag with an empty value", "spec.gates.tags.validated", _gates(tags={"validated": ""})),
    wrong("a tag whose value is no text", "spec.gates.tags.validated", _gates(tags={"validated": True})),
    wrong("a tag with a name that MLflow refuses", "spec.gates.tags", _gates(tags={"a=b": "c"})),
    wrong("too many tags", "spec.gates.tags", _gates(tags={f"t{i}": "v" for i in range(17)})),
    wrong("an age of nothing", "spec.gates.maxAge", _gates(maxAge="0s")),
    wrong("an age in days", "spec.gates.maxAge", _gates(maxAge="30d")),
    wrong("a present tag without a name", "spec.gates.tagsPresent[0]", _gates(tagsPresent=[""])),
    wrong("a present tag twice", "spec.gates.tagsPresent[1]", _gates(tagsPresent=["a", "a"])),
)
