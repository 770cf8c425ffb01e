"""The vocabulary has no word that nobody says, and none that nobody explains."""

import ast
from pathlib import Path

import pytest
from tests.unit.core import builders as make
from tests.unit.core import (
    test_approvals,
    test_decide_drift,
    test_decide_reverts,
    test_decide_road,
    test_pointers,
    test_report,
)

import tidegate
from tidegate.core.decide import decide
from tidegate.core.observed import Errand
from tidegate.core.reasons import MEANING, Reason
from tidegate.core.report import report

PACKAGE = Path(tidegate.__file__).parent


def _said(path: Path) -> set[str]:
    """The members of `Reason` that a module names in a place where it is no longer a comparison's right-hand side.

    What is only compared with, listed in a set, or kept in a table of meanings is not said.
    """
    tree = ast.parse(path.read_text())
    heard = {
        id(inner) for node in ast.walk(tree) if isinstance(node, ast.Compare | ast.Set) for inner in ast.walk(node)
    }
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "Reason"
        and id(node) not in heard
    }


SAYERS = {
    str(path.relative_to(PACKAGE)): said
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "reasons.py" and (said := _said(path))
}


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.value)
def test_some_module_says(reason: Reason) -> None:
    assert [path for path, said in SAYERS.items() if reason.name in said], f"{reason.value} is said by nobody"


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.value)
def test_its_meaning_is_a_sentence(reason: Reason) -> None:
    assert MEANING[reason].endswith(".")


def test_no_meaning_is_left_without_its_word() -> None:
    assert set(MEANING) == set(Reason)


def _heard() -> set[Reason]:
    """Every reason that the cases of the other tests really get to hear from a decision or a report."""
    heard: set[Reason] = set()
    tables = [
        *((record, fields) for record, fields, *_ in test_decide_reverts.CAUSES.values()),
        *((record, fields) for record, fields, *_ in test_decide_road.WAITS.values()),
        *((record, fields) for record, fields, *_ in test_approvals.STEPS.values()),
        *((record, fields) for record, fields, *_ in test_report.STATES.values()),
        (make.record(), {}),
        (make.record(), {"route": None}),
        (make.record(rollout=make.rollout(weight=100)), {}),
        (make.idle(parked=(test_report.PARKING,)), {"actions": {"abort": "7/1"}}),
        (make.idle(), {}),
        (test_decide_drift.AT_5, {"plan": make.plan(drift=test_decide_drift.HOLDS)} | test_decide_drift.DRIFTED),
        (make.idle(), {"plan": test_pointers.plan(), "wanted": make.version(6), "candidate": test_pointers.NO_ALIAS}),
        (test_pointers.PENDING, {"plan": test_pointers.plan(), "wanted": make.version(6)}),
        (test_pointers.PENDING, {"plan": make.plan()}),
        (
            test_pointers.PENDING,
            {
                "plan": test_pointers.plan(),
                "wanted": make.version(7),
                "errand": Errand(intent=test_pointers.promotion(), pointed=True),
            },
        ),
        (make.idle(), {"alerts": make.told(make.alert())}),
        (make.idle(alerts=(make.alert(),)), {"alerts": make.told(resolved=(make.alert(),))}),
    ]
    for record, given in tables:
        fields = dict(given)
        plan = fields.pop("plan", make.plan())
        route = fields.pop("routed", None)
        seen = make.seen(record, **({"route": make.route(record, **route)} if route else {}) | fields)
        decision = decide(plan, record, seen)
        heard |= {decision.reason, *(condition.reason for condition in report(plan, decision, seen).conditions)}
    return heard


MACHINE = ("advance", "alerts", "approvals", "begin", "causes", "decide", "pointers", "report", "revert", "waits")


def test_every_reason_of_the_machine_is_heard_in_some_case() -> None:
    words = {word for module in MACHINE for word in SAYERS.get(f"core/{module}.py", set())}
    assert words - {reason.name for reason in _heard()} == set()
