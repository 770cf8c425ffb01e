"""What the answer to a look's query means: what can't be believed is unreadable, and nothing is ever filled in."""

import math
import re
from dataclasses import replace

import pytest

from tidegate.core.evidence import Count, EvidenceConfig, EvidenceState, observe
from tidegate.core.promql import CANARY, PRESETS, STABLE, STALE, Preset, answered, question
from tidegate.core.readings import Reading, Readings, Unreadable
from tidegate.core.samples import Sample

NOW = 1_760_000_000.0
CONTOUR, MLSERVER, TIDEGATE, KSERVE = (PRESETS[name] for name in ("contour", "mlserver", "tidegate", "kserve"))
INF = "+Inf"


def sample(side: str, part: str, value: float, **labels: str) -> Sample:
    return Sample(labels={"tidegate_side": side, "tidegate_part": part, **labels}, value=value, at=NOW)


def gateway(side: str, ok: float = 90, bad: float = 10, *, instance: str = "g1", age: float = 1.0) -> list[Sample]:
    return [
        sample(side, "requests", ok, instance=instance, code="2xx"),
        sample(side, "requests", bad, instance=instance, code="5xx"),
        sample(side, "started", ok + bad, instance=instance),
        sample(side, "duration", ok, instance=instance, le="500"),
        sample(side, "duration", ok + bad, instance=instance, le=INF),
        sample(side, "scraped", NOW - age, instance=instance),
    ]


def read(samples: list[Sample], preset: Preset = CONTOUR) -> Readings:
    return answered(preset, samples, at=5.0).readings


def only(samples: list[Sample], preset: Preset = CONTOUR) -> Reading | Unreadable:
    (found,) = read(samples, preset).canary.values()
    return found


def test_counters_become_a_reading_with_edges_in_seconds() -> None:
    reading = only(gateway(CANARY))
    assert isinstance(reading, Reading)
    assert (reading.finished, reading.started) == ({"2xx": 90, "5xx": 10}, 100)
    assert reading.durations is not None
    assert reading.durations.edges == (0.5,)
    assert reading.durations.counts == {"": (90, 100)}


def test_ages_are_taken_where_their_edges_are_those_of_the_durations() -> None:
    base = [
        sample(CANARY, "started", 12, pod="a"),
        sample(CANARY, "duration", 9, pod="a", code="2xx", le="0.5"),
        sample(CANARY, "duration", 10, pod="a", code="2xx", le=INF),
        sample(CANARY, "scraped", NOW, pod="a"),
    ]
    ages = [sample(CANARY, "age", 1, pod="a", le="0.5"), sample(CANARY, "age", 2, pod="a", le=INF)]
    reading = only([*base, *ages], TIDEGATE)
    assert isinstance(reading, Reading)
    assert (reading.finished, reading.in_flight) == ({"2xx": 10}, (1, 2))
    other = only([*base, replace(ages[0], labels={**ages[0].labels, "le": "1"}), ages[1]], TIDEGATE)
    assert isinstance(other, Reading)
    assert other.in_flight is None


WRONG: dict[str, tuple[list[Sample], str]] = {
    "no label for the process": (
        [sample(CANARY, "requests", 1, code="2xx"), sample(CANARY, "scraped", NOW)],
        "no label instance",
    ),
    "no word of the scrape": (gateway(CANARY)[:-1], "when it was scraped"),
    "an old scrape": (gateway(CANARY, age=STALE + 1), "91 s ago"),
    "a scrape at no time": (gateway(CANARY, age=math.nan), "ago"),
    "NaN": (gateway(CANARY, bad=math.nan), "counts nothing"),
    "less than nothing": (gateway(CANARY, ok=-1), "counts nothing"),
    "half a request": (gateway(CANARY, ok=0.5), "counts nothing"),
    "a histogram without its end": (
        [*gateway(CANARY)[:3], sample(CANARY, "duration", 1, instance="g1", le="1"), gateway(CANARY)[-1]],
        "no +Inf",
    ),
    "an edge that is none": (
        [*gateway(CANARY), sample(CANARY, "duration", 1, instance="g1", le="x")],
        "an edge that is none",
    ),
    "an edge that is no number": (
        [*gateway(CANARY), sample(CANARY, "duration", 1, instance="g1", le="NaN")],
        "no +Inf",
    ),
    "a histogram that falls": (
        [*gateway(CANARY), sample(CANARY, "duration", 500, instance="g1", le="100")],
        "falls",
    ),
    "different edges for different codes": (
        [*gateway(CANARY), sample(CANARY, "duration", 1, instance="g1", code="200", le=INF)],
        "different edges",
    ),
}


@pytest.mark.parametrize(("samples", "words"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_believed_is_unreadable(samples: list[Sample], words: str) -> None:
    found = only(samples)
    assert isinstance(found, Unreadable)
    assert words in found.reason


def test_a_process_without_a_histogram_counts_all_the_same() -> None:
    found = only([each for each in gateway(CANARY) if each.labels["tidegate_part"] != "duration"])
    assert isinstance(found, Reading)
    assert (found.finished, found.durations) == ({"2xx": 90, "5xx": 10}, None)
    nothing = only([sample(CANARY, "scraped", NOW, pod="a")], KSERVE)
    assert nothing == Reading(finished={})


def test_a_gateway_that_never_sent_it_anything_counts_from_zero_and_its_silence_means_nothing() -> None:
    alone = read(gateway(STABLE))
    assert alone.canary == {"g1": Reading(finished={}, started=0)}
    assert not alone.silence
    both = read([*gateway(STABLE), *gateway(CANARY, 0, 0)])
    assert both.silence


def test_a_gateway_that_cannot_be_read_is_not_taken_for_zero() -> None:
    found = read(gateway(STABLE, bad=math.nan))
    assert found.canary == {}
    assert isinstance(found.stable["g1"], Unreadable)


def test_pods_are_not_filled_in_and_their_silence_means_nothing() -> None:
    pod = [sample(STABLE, "requests", 5, pod="s", code="200"), sample(STABLE, "scraped", NOW, pod="s")]
    found = read(pod, MLSERVER)
    assert (found.canary, found.silence) == ({}, False)


def test_the_moment_of_each_scrape_is_told() -> None:
    told = answered(CONTOUR, [*gateway(CANARY, age=3), *gateway(STABLE, age=4)], at=5.0)
    assert told.scraped == {(CANARY, "g1"): NOW - 3, (STABLE, "g1"): NOW - 4}
    assert told.oldest == 4
    assert answered(CONTOUR, [], at=5.0).oldest == 0
    assert told.readings.at == 5.0


def test_a_question_names_both_revisions_and_leaves_no_blank() -> None:
    for name, preset in PRESETS.items():
        text = question(preset, "ml", "fraud", {CANARY: "fraud-v7-b", STABLE: "fraud-v6-a"})
        assert "<" not in text, name
        assert text.count('"tidegate_side"') == 2 * len(preset.parts)
        assert ("backend/1" in text) if name == "envoyGateway" else ("fraud-v7-b" in text and "fraud-v6-a" in text)


def counted(*answers: list[Sample]) -> list[Count]:
    """What looks at a gateway count of the canary's errors."""
    config = EvidenceConfig(guards=(), timeout=30.0, lasting=True, shared=True)
    state, found = EvidenceState(), []
    for samples in answers:
        state, look = observe(state, read(samples), config)
        found.append(look.counts["errorRate"].canary if "errorRate" in look.counts else Count())
    return found


def test_what_a_gateway_counted_before_the_rollout_does_not_count() -> None:
    first, second = gateway(CANARY, 900, 100), gateway(CANARY, 905, 101)
    assert counted(first, second) == [Count(0, 0), Count(6, 1)]


def test_nor_what_a_gateway_counted_that_is_seen_late_or_again() -> None:
    one, late = gateway(CANARY, 10, 0), gateway(CANARY, 500, 50, instance="g2")
    assert counted(one, [*one, *late], one, [*one, *late]) == [Count(0, 0)] * 4
    assert counted(one, *[late] * 80, one)[-1] == Count(0, 0)


def test_a_gateway_that_started_anew_counts_from_zero() -> None:
    assert counted(gateway(CANARY, 900, 100), gateway(CANARY, 5, 1)) == [Count(0, 0), Count(6, 1)]


def test_what_prometheus_lacks_makes_no_canary_unreachable() -> None:
    config = EvidenceConfig(guards=(), timeout=30.0, lasting=True, shared=False)
    state = EvidenceState()
    readings = Readings(at=0.0, canary={"a": Unreadable(reason="x")}, stable={"s": Reading(finished={"200": 9})})
    for _ in range(10):
        state, look = observe(state, replace(readings, silence=False), config)
        assert (look.unreadable, look.canary_arrived) == (0, None)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        # By the documentation of versions before 3.7: Service and port, or that's name.
        ("ml-fraud-v7-bbbbbbbb-80", True),
        ("ml-fraud-v7-bbbbbbbb-http-80", True),
        ("httproute-ml-fraud-gw-gateways-public-ep-web-0-b1941f2f4d0f5c6a2f4b-svc-ml-fraud-v7-bbbbbbbb-1", True),
        ("ml-fraud-v7-bbbbbbbb-8080", False),
        ("ml-other-fraud-v7-bbbbbbbb-80", False),
        ("httproute-ml-fraud-gw-gateways-public-ep-web-0-b1941f2f4d0f5c6a2f4b-wrr", False),
    ],
)
def test_traefiks_names_of_a_backend_are_known(name: str, *, known: bool) -> None:
    text = question(PRESETS["traefik"], "ml", "fraud", {CANARY: "fraud-v7-bbbbbbbb"})
    (pattern, *others) = set(re.findall(r'service=~"([^"]*)"', text))
    assert others == []
    assert (re.fullmatch(pattern, f"{name}@kubernetesgateway") is not None) == known
