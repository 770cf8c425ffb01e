"""What everybody who asks Prometheus relies on, held against the fake and the real program alike."""

import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.driver.monitoring import Monitoring
from tests.fakes.prometheus import FakePrometheus

from tidegate.adapters.prometheus import HttpPrometheus
from tidegate.core.reasons import Reason
from tidegate.core.samples import Sample
from tidegate.core.values import Unavailable
from tidegate.ports import Prometheus

# Queries that need no scraped data: their answers are known, whoever is asked.
TWO = 'label_replace(vector(1), "pod", "a", "", "") or label_replace(vector(2), "pod", "b", "", "")'
KNOWN: Mapping[str, tuple[tuple[Mapping[str, str], float], ...]] = {
    "scalar(vector(7))": (({}, 7.0),),
    "vector(0) / 0": (({}, float("nan")),),
    "vector(1) / 0": (({}, float("inf")),),
    TWO: (({"pod": "a"}, 1.0), ({"pod": "b"}, 2.0)),
}


@dataclass(frozen=True)
class Stage:
    """A source, and how to bring it into a mood: up, hanging or down."""

    source: Prometheus
    mood: Callable[[str], None]

    async def ask(self, promql: str, seconds: float = 5.0) -> tuple[Sample, ...] | Unavailable:
        return await self.source.query(promql, timeout=seconds)

    async def samples(self, promql: str) -> list[tuple[Mapping[str, str], float]]:
        answer = await self.ask(promql)
        assert not isinstance(answer, Unavailable), answer
        return [(sample.labels, sample.value) for sample in answer]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitoring]:
    monitoring = Monitoring(Path(tmp_path_factory.mktemp("prometheus")))
    monitoring.start()
    yield monitoring
    monitoring.stop()


@pytest.fixture(params=["fake", "real"])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    if request.param == "fake":
        fake = FakePrometheus()
        for promql, series in KNOWN.items():
            fake.tell(promql, *series)

        def set_mood(mood: str) -> None:
            fake.mood = mood

        yield Stage(fake, set_mood)
        fake.release()
        return
    server = request.getfixturevalue("program").prometheus
    source = HttpPrometheus(server.url)

    def move(mood: str) -> None:
        if mood == "down":
            server.kill()
        else:
            server.send(signal.SIGSTOP if mood == "hanging" else signal.SIGCONT)

    yield Stage(source, move)
    await source.close()
    server.send(signal.SIGCONT)
    server.kill()
    server.start()


async def test_a_number_comes_without_labels_and_series_with_theirs(stage: Stage) -> None:
    assert await stage.samples("scalar(vector(7))") == [({}, 7.0)]
    assert sorted(value for _, value in await stage.samples(TWO)) == [1.0, 2.0]
    assert {labels["pod"] for labels, _ in await stage.samples(TWO)} == {"a", "b"}


async def test_no_number_comes_as_what_it_is(stage: Stage) -> None:
    ((_, nan),) = await stage.samples("vector(0) / 0")
    assert nan != nan  # noqa: PLR0124 (that is what NaN is)
    assert await stage.samples("vector(1) / 0") == [({}, float("inf"))]


async def test_a_metric_that_nobody_has_is_an_empty_answer(stage: Stage) -> None:
    assert await stage.ask("nobody_has_this_total") == ()


async def test_samples_carry_the_moment_of_their_evaluation(stage: Stage) -> None:
    answer = await stage.ask("scalar(vector(7))")
    assert not isinstance(answer, Unavailable)
    assert answer[0].at > 1.6e9


async def test_a_query_that_is_none_is_refused(stage: Stage) -> None:
    answer = await stage.ask("rate(")
    assert isinstance(answer, Unavailable)
    assert answer.reason == Reason.QUERY_REFUSED


@pytest.mark.parametrize("mood", ["down", "hanging"])
async def test_one_that_does_not_answer_is_unreachable_within_the_deadline(stage: Stage, mood: str) -> None:
    stage.mood(mood)
    answer = await stage.ask("scalar(vector(7))", 0.3)
    assert isinstance(answer, Unavailable)
    assert answer.reason == Reason.PROMETHEUS_UNREACHABLE
    assert answer.message
