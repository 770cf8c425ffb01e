"""The whole verdict: a soak passes only if each of its checks does, and what is written says the same."""

import json
import math
from dataclasses import replace

import pytest
from tests.driver.load import Answer
from tests.soak.growth import MIB
from tests.soak.plan import End, Fault, Flavour, Kind, Misfortune, Plan, Rollout, Subject
from tests.soak.told import Clients, Soak
from tests.unit.soak.builders import T0, answer, bad, good, outage, vitals

PLAN = Plan(
    seed=1,
    seconds=60,
    subjects=(Subject(name="small-0", flavour=Flavour.SMALL, rollouts=(Rollout(kind=Kind.GOOD, rest=0),)),),
    misfortunes=(Misfortune(fault=Fault.MLFLOW, at=1, lasts=2),),
)
STEADY = [answer(T0 + n / 10) for n in range(600)]


def clients(*more: Answer) -> list[Clients]:
    return [Clients(site="small-0", answers=[*STEADY, *more], rate=10, begin=T0, end=T0 + 60)]


def soak() -> Soak:
    return Soak(
        plan=PLAN,
        clients=clients(),
        episodes=[bad(), good("3")],
        outages=[outage(20, 21, Fault.MLFLOW)],
        vitals=vitals(*[130 * MIB] * 80),
        seconds=60,
    )


def test_a_clean_soak_passes() -> None:
    document = soak().document()
    assert document["failures"] == []
    assert document["passed"] is True


BROKEN = {
    "stain": {"clients": clients(answer(T0 + 30, status=503))},
    "stray": {"clients": clients(answer(T0 + 30, revision="m-v2-a", version="2"))},
    "idle driver": {"clients": [Clients(site="small-0", answers=[], rate=10, begin=T0, end=T0 + 60)]},
    "wrong end": {"episodes": [bad(), good("3"), good("4", end=End.REJECTED)]},
    "exposed": {"episodes": [bad(), good("3"), bad(Kind.HANGS, "4", left=T0 + 60)]},
    "nothing happened": {"episodes": [good()]},
    "no fault": {"outages": []},
    "starved": {"outages": [outage(20, 21, Fault.MLFLOW), outage(30, 46, Fault.STARVED)]},
    "leak": {"vitals": vitals(*[(100 + n) * MIB for n in range(80)])},
    "unread": {"vitals": []},
    "trouble": {"troubles": ["small-0: AssertionError()"]},
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_soak_with_one_thing_wrong_fails_and_says_it(broken: str) -> None:
    document = replace(soak(), **BROKEN[broken]).document()  # type: ignore[arg-type]  # fields of its own
    assert document["failures"]
    assert document["passed"] is False


def test_a_fault_of_the_first_half_has_to_come_and_one_that_was_pushed_over_the_end_need_not() -> None:
    late = Misfortune(fault=Fault.GATEWAY, at=40, lasts=2)
    assert replace(soak(), plan=replace(PLAN, misfortunes=(*PLAN.misfortunes, late))).failures() == []
    early = replace(late, at=20)
    assert replace(soak(), plan=replace(PLAN, misfortunes=(early,))).failures() == [
        "never befell: gateway's control plane"
    ]


def test_another_sites_bad_version_excuses_nothing() -> None:
    failing = answer(T0 + 7, revision="m-v2-a", version="2", status=500)
    other = replace(bad(), site="small-1")
    assert soak().failures() == []
    assert replace(soak(), clients=clients(failing)).failures() == []
    assert len(replace(soak(), clients=clients(failing), episodes=[other, good("3")]).failures()) == 1


def test_the_document_is_json_and_the_table_names_everything() -> None:
    made = soak()
    document = json.loads(json.dumps(made.document(), allow_nan=False))
    assert (document["seed"], len(document["readings"])) == (1, len(made.vitals))
    unfinished = replace(made, outages=[*made.outages, outage(50, math.inf)])
    assert json.loads(json.dumps(unfinished.document(), allow_nan=False))["outages"][-1]["end"] is None
    table = made.table()
    for word in ("good", "errors", "1 rejected", "MLflow", "small-0", "600", "rss", "tasks"):
        assert word in table
