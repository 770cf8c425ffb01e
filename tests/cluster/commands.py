"""What `python3 -m tests.cluster` understands."""

import argparse
import os
import shlex
import signal
import sys
from pathlib import Path
from types import FrameType

from tests.cluster import build, components, host, remains
from tests.cluster.access import Access
from tests.cluster.errors import ClusterError
from tests.cluster.full import Cluster
from tests.cluster.light import LightCluster
from tests.cluster.progress import Progress


def main(arguments: list[str]) -> int:
    """Runs one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt_once)
    try:
        return int(options.action(options))
    except ClusterError as error:
        print(f"tests.cluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tests.cluster: interrupted; what was started has been taken down", file=sys.stderr)
        return 130


def _interrupt_once(_: int, __: FrameType | None) -> None:
    # A second Ctrl-C must not interrupt the taking down that the first one began.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tests.cluster", description=main.__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, action: object, summary: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=summary, description=summary)
        command.set_defaults(action=action)
        return command

    up = add("up", _up, "build what is missing, start a cluster and leave it running")
    up.add_argument("--another", action="store_true", help="even if one is up")
    down = add("down", _down, "take down what `up` left running, and remove what dead runs left")
    down.add_argument("runs", nargs="*", metavar="run", help="default: all")
    add("status", _status, "list runs, and what dead ones left")
    add("env", _env, "print the variables that show the way into the cluster that is up")
    add("light", _light, "run etcd and kube-apiserver only, until Ctrl-C")
    run = add("run", _run, "run a command inside the cluster's network, with KUBECONFIG set")
    run.add_argument("command", nargs=argparse.REMAINDER)
    compiling = add("build", _build, "build the programs into the cache")
    compiling.add_argument("component", nargs="*", help=f"default: all but kwok; of {', '.join(components.BY_NAME)}")
    load = add("load-image", _load, "make the images of an OCI archive known to the cluster that is up")
    load.add_argument("archive", type=Path)
    return parser


def _up(options: argparse.Namespace) -> int:
    remains.sweep()
    kept = [run.id for run in remains.found() if run.alive and run.kept]
    if not kept or options.another:
        with Cluster.start() as cluster:
            cluster.keep()
            kept = [cluster.run.id]
    access = Access.attach(kept[0])
    print(
        f"the cluster is up (run {access.run}). It can be reached from inside its network only:\n"
        "  python3 -m tests.cluster run -- kubectl get pods -A\n"
        f"  python3 -m tests.cluster run -- curl {access.gateway_url}\n"
        "  python3 -m tests.cluster down"
    )
    return 0


def _down(options: argparse.Namespace) -> int:
    for run in remains.found():
        if options.runs and run.id not in options.runs:
            continue
        if run.alive and run.kept:
            remains.end(run.id)
            print(f"run {run.id} is down")
        elif run.alive:
            print(f"run {run.id} ends with its owner, process {run.facts.get('owner')}; left alone")
    for dead in remains.sweep():
        print(f"removed what run {dead} had left")
    return 0


def _env(_: argparse.Namespace) -> int:
    access = Access.attach()
    for name, value in _variables(access).items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _variables(access: Access) -> dict[str, str]:
    return {
        "KUBECONFIG": access.kubeconfig,
        "KUBECTL": access.kubectl_program,
        "HELM": access.helm_program,
        "GATEWAY": f"{access.gateway_namespace}/{access.gateway_name}",
        "GATEWAY_URL": access.gateway_url,
        "IMAGES": access.image_prefix,
        "CLUSTER_ENTER": shlex.join(access.command()),
    }


def _run(options: argparse.Namespace) -> int:
    access = Access.attach()
    command = [word for index, word in enumerate(options.command) if index or word != "--"]
    if not command:
        raise ClusterError("run: say what to run, as in `run -- kubectl get pods -A`")
    programs = {str(Path(program).parent) for program in (access.kubectl_program, access.helm_program)}
    path = ":".join([*sorted(programs), host.path_with_sbin()])
    environment = {**access.environment(), **_variables(access), "PATH": path}
    full = access.command(*command)
    os.execvpe(full[0], full, environment)


def _load(options: argparse.Namespace) -> int:
    Access.attach().load(options.archive)
    return 0


def _build(options: argparse.Namespace) -> int:
    progress = Progress()
    unknown = set(options.component) - set(components.BY_NAME)
    if unknown:
        known = ", ".join(components.BY_NAME)
        raise ClusterError(f"no such component: {', '.join(sorted(unknown))}; there are {known}")
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
