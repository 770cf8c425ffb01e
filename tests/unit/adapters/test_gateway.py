from typing import Any

import pytest

from tidegate.adapters.gateway import Claims, route_facts
from tidegate.core.observed import RouteFacts
from tidegate.core.record import Record

PUBLIC = {"name": "public", "namespace": "gateways"}


def route(
    name: str = "fraud",
    *,
    parents: Any = (PUBLIC,),
    hosts: Any = ("fraud.example.com",),
    matches: Any = None,
    statuses: Any = (),
    backends: Any = None,
    born: int = 1,
    namespace: str = "ml",
) -> dict[str, Any]:
    rule: dict[str, Any] = {"backendRefs": backends or []}
    if matches is not None:
        rule["matches"] = matches
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "resourceVersion": "5",
            "generation": 3,
            "creationTimestamp": f"2026-01-01T00:00:{born:02}Z",
        },
        "spec": {"parentRefs": list(parents), "hostnames": list(hosts), "rules": [rule]},
        "status": {"parents": list(statuses)},
    }


def condition(kind: str, status: str = "True", *, generation: int = 3, reason: str = "R", message: str = "M") -> Any:
    return {"type": kind, "status": status, "observedGeneration": generation, "reason": reason, "message": message}


def parent_status(ref: Any = PUBLIC, *conditions: Any, controller: str = "example.com/gateway") -> dict[str, Any]:
    told = list(conditions) or [condition("Accepted"), condition("ResolvedRefs")]
    return {"parentRef": ref, "controllerName": controller, "conditions": told}


def read(live: dict[str, Any]) -> RouteFacts:
    return route_facts(live, Record())


def test_identity_and_record_are_passed_on() -> None:
    record = Record(attempts=(("7", 1),))
    facts = route_facts(route(), record)
    assert (facts.uid, facts.resource_version, facts.record) == ("uid-fraud", "5", record)


def test_a_route_that_its_gateway_accepted_at_this_generation_is_confirmed() -> None:
    facts = read(route(statuses=[parent_status()]))
    assert facts.confirmed
    assert facts.refusal is None


@pytest.mark.parametrize(
    "statuses",
    [
        pytest.param([], id="nobody said anything"),
        pytest.param([parent_status(PUBLIC, condition("Accepted"))], id="backends not looked at yet"),
        pytest.param([parent_status(PUBLIC, condition("ResolvedRefs"))], id="not accepted yet"),
        pytest.param(
            [parent_status(PUBLIC, condition("Accepted", generation=2), condition("ResolvedRefs", generation=2))],
            id="an older generation",
        ),
        pytest.param(
            [parent_status(PUBLIC, condition("Accepted", "Unknown"), condition("ResolvedRefs"))], id="undecided"
        ),
        pytest.param([parent_status({"name": "private", "namespace": "gateways"})], id="another gateway"),
        pytest.param([parent_status({"name": "public"})], id="a gateway in another namespace"),
        pytest.param([parent_status({**PUBLIC, "sectionName": "https"})], id="another listener"),
        pytest.param([parent_status({**PUBLIC, "kind": "Service"})], id="another kind of parent"),
    ],
)
def test_without_its_gateways_word_a_route_is_not_confirmed(statuses: Any) -> None:
    facts = read(route(statuses=statuses))
    assert not facts.confirmed
    assert facts.refusal is None


def test_a_parent_is_recognized_with_its_defaults_filled_in() -> None:
    full = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public", "namespace": "ml"}
    assert read(route(parents=[{"name": "public"}], statuses=[parent_status(full)])).confirmed


def test_every_parent_has_to_confirm() -> None:
    second = {"name": "inner"}
    assert not read(route(parents=[PUBLIC, second], statuses=[parent_status()])).confirmed
    both = [parent_status(), parent_status(second)]
    assert read(route(parents=[PUBLIC, second], statuses=both)).confirmed


def test_a_controller_that_left_its_old_word_behind_blocks_nothing() -> None:
    stale = parent_status(PUBLIC, condition("Accepted", "False", generation=1), controller="uninstalled")
    facts = read(route(statuses=[stale, parent_status()]))
    assert facts.confirmed
    assert facts.refusal is None


def test_a_route_without_parents_is_not_confirmed() -> None:
    assert not read(route(parents=[])).confirmed


def test_a_refusal_is_told_in_the_gateways_own_words() -> None:
    said = condition("Accepted", "False", reason="NoMatchingListenerHostname", message="no listener for it")
    facts = read(route(statuses=[parent_status(PUBLIC, said, condition("ResolvedRefs"))]))
    assert not facts.confirmed
    assert facts.refusal == "gateway gateways/public: Accepted is False: NoMatchingListenerHostname: no listener for it"


def test_a_refusal_without_words_is_still_one() -> None:
    said = condition("ResolvedRefs", "False", reason="", message="")
    assert (
        read(route(statuses=[parent_status(PUBLIC, said)])).refusal == "gateway gateways/public: ResolvedRefs is False"
    )


def test_conditions_of_other_types_say_nothing() -> None:
    odd = [condition("Accepted"), condition("ResolvedRefs"), condition("PartiallyInvalid", "False")]
    assert read(route(statuses=[parent_status(PUBLIC, *odd)])).refusal is None


def test_weights_are_what_the_backends_say() -> None:
    backends = [{"name": "v7", "weight": 75}, {"name": "v8", "weight": 25}]
    assert read(route(backends=backends)).weights == {"v7": 75, "v8": 25}


def test_a_backend_without_a_weight_has_one_and_a_repeated_one_has_the_sum() -> None:
    assert read(route(backends=[{"name": "v7"}, {"name": "v7", "weight": 4}])).weights == {"v7": 5}


def test_rules_that_disagree_count_for_the_highest_weight_of_each() -> None:
    live = route(backends=[{"name": "v7", "weight": 100}, {"name": "v8", "weight": 0}])
    live["spec"]["rules"].append({"backendRefs": [{"name": "v8", "weight": 30}]})
    live["spec"]["rules"].append({})
    assert read(live).weights == {"v7": 100, "v8": 30}


def test_a_route_without_rules_gives_weight_to_nobody() -> None:
    live = route()
    live["spec"] = {}
    live.pop("status")
    assert read(live).weights == {}


def claims(*routes: dict[str, Any]) -> Claims:
    kept = Claims()
    for each in routes:
        kept.put(each)
    return kept


def test_the_older_route_has_the_host() -> None:
    old, young = route("old", born=1), route("young", born=2)
    kept = claims(old, young)
    assert kept.taken_by(young) == "ml/old"
    assert kept.taken_by(old) is None


def test_of_two_of_one_age_the_first_by_namespace_and_name_has_it() -> None:
    first, second = route("z", namespace="a"), route("a", namespace="b")
    kept = claims(first, second)
    assert kept.taken_by(second) == "a/z"
    assert kept.taken_by(first) is None


def test_a_route_that_is_not_there_yet_is_the_youngest() -> None:
    assert claims(route("old", born=9)).taken_by(route("new", born=1)) == "ml/old"


def test_the_oldest_of_several_is_named() -> None:
    kept = claims(route("b", born=2), route("a", born=1))
    assert kept.taken_by(route("c")) == "ml/a"


PATH = {"path": {"type": "PathPrefix", "value": "/fraud"}}


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        pytest.param({}, {}, True, id="the same"),
        pytest.param({}, {"hosts": ["other.example.com"]}, False, id="another host"),
        pytest.param({}, {"hosts": ["FRAUD.example.com"]}, True, id="hosts have no case"),
        pytest.param({}, {"hosts": []}, False, id="every host is less specific than one"),
        pytest.param({"hosts": []}, {"hosts": []}, True, id="every host twice"),
        pytest.param({"hosts": ["a", "b"]}, {"hosts": ["b", "c"]}, True, id="one host of several"),
        pytest.param({}, {"matches": [PATH]}, False, id="another path"),
        pytest.param({"matches": [PATH]}, {"matches": [PATH]}, True, id="the same path"),
        pytest.param({}, {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}, True, id="the default path"),
        pytest.param({"matches": [PATH]}, {"matches": [{"path": {"value": "/fraud"}}]}, True, id="a defaulted type"),
        pytest.param({"matches": [PATH]}, {"matches": [{**PATH, "method": "GET"}]}, False, id="a method"),
        pytest.param(
            {"matches": [{"headers": [{"name": "b", "value": "2"}, {"name": "a", "value": "1"}]}]},
            {"matches": [{"headers": [{"type": "Exact", "name": "a", "value": "1"}, {"name": "b", "value": "2"}]}]},
            True,
            id="headers in another order",
        ),
        pytest.param({}, {"parents": [{"name": "public"}]}, False, id="a gateway of one name elsewhere"),
        pytest.param({}, {"parents": [{**PUBLIC, "sectionName": "https"}]}, True, id="a listener of the gateway"),
        pytest.param(
            {"parents": [{**PUBLIC, "sectionName": "http"}]},
            {"parents": [{**PUBLIC, "sectionName": "https"}]},
            False,
            id="different listeners",
        ),
        pytest.param(
            {"parents": [{**PUBLIC, "port": 80}]}, {"parents": [{**PUBLIC, "port": 81}]}, False, id="different ports"
        ),
        pytest.param({"parents": [{**PUBLIC, "port": 80}]}, {}, True, id="a port of all"),
        pytest.param({}, {"parents": [{**PUBLIC, "kind": "Service", "group": ""}]}, False, id="another kind"),
    ],
)
def test_routes_meet_where_parent_host_and_match_are_one(one: Any, other: Any, meet: bool) -> None:
    old, young = route("old", born=1, **one), route("young", born=2, **other)
    assert (claims(old, young).taken_by(young) is not None) is meet
    assert (claims(route("old", born=1, **other)).taken_by(route("young", **one)) is not None) is meet


def test_a_route_that_moved_away_or_went_leaves_its_place() -> None:
    young = route("young", born=2)
    kept = claims(route("old", born=1), young)
    kept.put(route("old", born=1, hosts=["elsewhere.example.com"]))
    assert kept.taken_by(young) is None
    kept.put(route("old", born=1))
    assert kept.taken_by(young) == "ml/old"
    kept.put(route("old", born=1))
    kept.drop("ml", "old")
    kept.drop("ml", "old")
    assert kept.taken_by(young) is None


def test_a_live_route_asks_for_the_place_it_is_about_to_claim() -> None:
    kept = claims(route("mine", born=1, hosts=["a"]), route("theirs", born=2, hosts=["b"]))
    assert kept.taken_by(route("mine", hosts=["b"])) is None
    older = claims(route("mine", born=2, hosts=["a"]), route("theirs", born=1, hosts=["b"]))
    assert older.taken_by(route("mine", hosts=["b"])) == "ml/theirs"


def test_a_route_without_rules_claims_every_path() -> None:
    bare = route("young", born=2)
    bare["spec"]["rules"] = []
    assert claims(route("old", born=1)).taken_by(bare) == "ml/old"
