"""The saga of a promotion: which write of the registry comes next."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.unit.core import builders as make
from tests.unit.core.test_pointers import CHALLENGER, CHAMPION, DISCARD, PRODUCTION, STAGING, promotion

from tidegate.core.pointers import (
    Point,
    Release,
    Write,
    next_write,
    pointed,
)
from tidegate.core.record import Intent
from tidegate.core.registered import RegisteredModel, RegisteredVersion
from tidegate.core.values import VersionId


def model(aliases: Mapping[str, str] | None = None, created: int = 1, **stages: str) -> RegisteredModel:
    """Versions v5 to v9 with stages."""
    versions = (RegisteredVersion(number=n, stage=stages.get(f"v{n}", "None")) for n in ("5", "6", "7", "8", "9"))
    return RegisteredModel(name="fraud-detector", created_ms=created, aliases=aliases or {}, versions=tuple(versions))


def without(number: str, held: RegisteredModel) -> RegisteredModel:
    left = tuple(version for version in held.versions if version.number != number)
    aliases = {alias: of for alias, of in held.aliases.items() if of != number}
    return replace(held, versions=left, aliases=aliases)


STAGES = promotion(pointer=PRODUCTION, candidate=STAGING)
MIXED = promotion(pointer=PRODUCTION)


@pytest.mark.parametrize(
    ("intent", "held", "write", "as_wanted"),
    [
        pytest.param(
            promotion(), model({"champion": "6", "challenger": "7"}), Point(pointer=CHAMPION, number="7"), False, id="0"
        ),
        pytest.param(
            promotion(),
            model({"champion": "7", "challenger": "7"}),
            Release(pointer=CHALLENGER, number="7"),
            True,
            id="killed between the two",
        ),
        pytest.param(promotion(), model({"champion": "7"}), None, True, id="done"),
        pytest.param(
            promotion(), model({"champion": "7", "challenger": "8"}), None, True, id="the next challenger is there"
        ),
        pytest.param(
            promotion(), model({"champion": "9", "challenger": "7"}), None, False, id="a person moved the champion"
        ),
        pytest.param(promotion(), model({"challenger": "7"}), None, False, id="a person removed the champion"),
        pytest.param(
            promotion(), without("6", model({"challenger": "7"})), Point(pointer=CHAMPION, number="7"), False,
            id="the old version was deleted",
        ),
        pytest.param(
            promotion(before=None), model({"challenger": "7"}), Point(pointer=CHAMPION, number="7"), False,
            id="there was no champion",
        ),
        pytest.param(promotion(), without("7", model({"champion": "6"})), None, False, id="the version was deleted"),
        pytest.param(promotion(), model({"champion": "6"}, created=2), None, False, id="the model was made anew"),
        pytest.param(
            STAGES, model(v6="Production", v7="Staging"), Point(pointer=PRODUCTION, number="7"), False, id="stages"
        ),
        pytest.param(STAGES, model(v6="Archived", v7="Production"), None, True, id="stages done"),
        pytest.param(
            STAGES, model(v6="Production", v7="Production"), Point(pointer=PRODUCTION, number="7"), False,
            id="the old version is still there",
        ),
        pytest.param(
            STAGES, model(v7="Production", v8="Production"), Release(pointer=PRODUCTION, number="7"), False,
            id="another promotion came in between and is newer",
        ),
        pytest.param(STAGES, model(v7="Archived", v8="Production"), None, False, id="and took ours away"),
        pytest.param(
            promotion(5, "6", pointer=PRODUCTION, candidate=STAGING), model(v5="Staging", v6="Production"),
            Point(pointer=PRODUCTION, number="5"), False, id="an older version",
        ),
        pytest.param(
            MIXED, model({"challenger": "7"}, v7="Production"), Release(pointer=CHALLENGER, number="7"), True,
            id="mixed",
        ),
        pytest.param(
            promotion(candidate=STAGING), model({"champion": "7"}, v7="Staging"), None, True, id="mixed the other way"
        ),
        pytest.param(DISCARD, model({"challenger": "7"}), Release(pointer=CHALLENGER, number="7"), False, id="discard"),
        pytest.param(DISCARD, model({"challenger": "8"}), None, True, id="discard: the next one is there"),
        pytest.param(
            replace(DISCARD, candidate=STAGING), model(v7="Staging", v8="Staging"),
            Release(pointer=STAGING, number="7"), False, id="discard from a stage",
        ),
        pytest.param(replace(DISCARD, candidate=STAGING), model(v7="Archived"), None, True, id="discarded"),
    ],
)  # fmt: skip
def test_the_next_write_follows_from_what_the_registry_holds(
    intent: Intent, held: RegisteredModel, write: Write | None, as_wanted: bool
) -> None:
    assert next_write(intent, held) == write
    assert pointed(intent, held) is as_wanted


def test_versions_are_looked_up_by_number() -> None:
    assert VersionId(registry="http://mlflow", model="fraud-detector", model_created_ms=1, number="7") == make.version(
        7
    )
    assert model(v7="Staging").within("staging") == ("7",)
