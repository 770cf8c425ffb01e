"""`python -m tests.bench [name ...] [--trials N]`: measures, writes `build/bench.json`, fails on missed budgets."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from tests.bench import alert, denied, handover, hundred, idle, putback, registry, revert, route, scale, webhook
from tests.bench.figures import Figure, table
from tests.bench.stage import Stage, stage

OUT = Path(__file__).parents[2] / "build" / "bench.json"
Benchmark = Callable[[Stage, int], list[Figure]]


def _revert(interval: str, median: float, worst: float, on: Stage, trials: int) -> list[Figure]:
    name = f"revert_{interval}"
    return [revert.measure(on, name=name, interval=interval, limits=(median, worst), trials=trials)]


BENCHMARKS: Mapping[str, Benchmark] = {
    "revert_1s": partial(_revert, "1s", 1.2, 2.2),
    "revert_250ms": partial(_revert, "250ms", 0.6, 1.2),
    "route_write": lambda on, trials: route.measure(on, trials=trials),
    "revert_route_denied": lambda on, trials: denied.measure(on, trials=trials),
    "idle_1000": lambda on, _: idle.measure(on),
    # Beside the thousand objects, if they were asked for.
    "alert": lambda on, trials: alert.measure(on, trials=trials),
}

#: Those that need no more than an API server.
ALONE: Mapping[str, Callable[[int], list[Figure]]] = {
    "handover_sigkill": handover.sigkill,
    "handover_sigterm": handover.sigterm,
    "killed_in_mid_revert": lambda _: handover.killed_in_mid_revert(),
    "reverts_100_at_once": lambda _: hundred.at_once(),
    "registry_1000": lambda _: registry.registry_1000(),
    "put_back": putback.put_back,
    "webhook_to_deployment": webhook.to_deployment,
    "scale_5000": lambda _: scale.scale(),
}


def main() -> int:
    """Run what was asked for; 1 if a budget was missed or an answer was not clean, else 0."""
    parser = _arguments()
    arguments = parser.parse_args()
    known = [*ALONE, *BENCHMARKS]
    if unknown := sorted(set(arguments.name) - set(known)):
        parser.error(f"no benchmark is called {unknown[0]}; there are {', '.join(known)}")
    if arguments.trials < 1:
        parser.error("--trials must be 1 or more")
    figures: list[Figure] = []
    failures: list[str] = []

    def run(name: str, measure: Callable[[], list[Figure]]) -> None:
        try:
            figures.extend(measure())
        except (AssertionError, OSError, ValueError) as error:
            failures.append(f"{name}: {error}")
        _write(figures)

    wanted = [each for each in known if not arguments.name or each in arguments.name]
    for name in [each for each in wanted if each in ALONE]:
        run(name, partial(ALONE[name], arguments.trials))
    if on_cluster := [each for each in wanted if each in BENCHMARKS]:
        with stage() as on, on.lasting:
            # What needs the machine for itself comes last: a thousand objects stay where they are.
            for name in on_cluster:
                run(name, partial(BENCHMARKS[name], on, arguments.trials))
    failures += [sentence for figure in figures for sentence in figure.missed()]
    print(table(figures))
    for sentence in failures:
        print(sentence, file=sys.stderr)
    return 1 if failures else 0


def _write(figures: list[Figure]) -> None:
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps([figure.entry() for figure in figures], indent=1) + "\n")


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "name", nargs="*", metavar="name", help=f"of {', '.join([*ALONE, *BENCHMARKS])}; all of them if none"
    )
    parser.add_argument("--trials", type=int, default=20, help="of each benchmark that repeats something")
    return parser


if __name__ == "__main__":
    sys.exit(main())
