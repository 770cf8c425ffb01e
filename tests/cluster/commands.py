"""What `python3 -m tests.cluster` understands."""

import argparse
import signal
import sys

from tests.cluster import build, components, host, remains
from tests.cluster.errors import ClusterError
from tests.cluster.light import LightCluster
from tests.cluster.progress import Progress


def main(arguments: list[str]) -> int:
    """Runs one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return int(options.run(options))
    except ClusterError as error:
        print(f"tests.cluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tests.cluster: interrupted; everything started has been taken down", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tests.cluster", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    compiling = commands.add_parser("build", help="build the programs into the cache")
    compiling.add_argument("component", nargs="*", choices=[[], *components.BY_NAME], help="default: all but kwok")
    compiling.set_defaults(run=_build)
    light = commands.add_parser("light", help="run etcd and kube-apiserver until Ctrl-C")
    light.set_defaults(run=_light)
    status = commands.add_parser("status", help="list runs and what dead ones left")
    status.set_defaults(run=_status)
    return parser


def _build(options: argparse.Namespace) -> int:
    progress = Progress()
    named = [components.BY_NAME[name] for name in options.component] or components.FULL
    host.prepare(host.LIGHT_COMMANDS, progress)
    build.build(named, progress)
    return 0


def _light(_: argparse.Namespace) -> int:
    with LightCluster.start() as cluster:
        print(f"export KUBECONFIG={cluster.kubeconfig}\nexport KUBECTL={cluster.kubectl_program}", flush=True)
        signal.pause()
    return 0


def _status(_: argparse.Namespace) -> int:
    runs = remains.found()
    for run in runs:
        state = ("kept" if run.kept else f"owned by process {run.facts.get('owner')}") if run.alive else "dead remains"
        print(f"{run.id}  {run.kind}  {state}  {remains.ROOT / run.id}")
    if not runs:
        print("no cluster is up, and nothing is left of any")
    return 0
