"""The command line: `kubectl tidegate <verb>`."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tidegate import VERSION
from tidegate.core.labels import API_VERSION
from tidegate.plugin import lint as rules
from tidegate.plugin import view
from tidegate.plugin.actions import intent
from tidegate.plugin.failures import Failure, Missing
from tidegate.plugin.kubectl import PROMOTIONS, RESOURCE, RETRAININGS, Kubectl
from tidegate.plugin.live import watch
from tidegate.plugin.words import on_promotion, on_step

EPILOG = """\
exit codes:
  0  done
  1  lint found something wrong; or there is nothing to act on
  2  the command line is wrong
  3  there is no such object, or the cluster knows no ModelDeployments
  4  not logged in, or not allowed
  5  the cluster can't be reached, or kubectl failed otherwise
"""
#: Flags of kubectl that are handed on with a value, and those without one.
VALUED = (
    ("--namespace", "-n"),
    ("--context",),
    ("--kubeconfig",),
    ("--cluster",),
    ("--user",),
    ("--as",),
    ("--as-group",),
    ("--as-uid",),
    ("--server", "-s"),
    ("--token",),
    ("--certificate-authority",),
    ("--client-certificate",),
    ("--client-key",),
    ("--tls-server-name",),
    ("--request-timeout",),
    ("--cache-dir",),
)
BARE = ("--insecure-skip-tls-verify", "--disable-compression")
ACTIONS = {
    "abort": "take the canary off traffic and reject its version; or reject one that is parked",
    "promote": "give the canary all traffic without further holds",
    "retry": "try a rejected or parked version again",
    "pause": "stop the rollout under way where it is; reverts go on",
    "resume": "take the pause away",
}
WORDS = {
    "approve": "say yes to the step that waits, or to a ModelPromotion",
    "refuse": "say no to a step, take an approval back, or refuse a ModelPromotion",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except Failure as error:
        print(f"error: {view.plain(str(error))}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read it has enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kubectl tidegate",
        allow_abbrev=False,
        description="See and steer the rollouts of ModelDeployments.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"kubectl tidegate {VERSION}, for {API_VERSION}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    access = _access()
    shown = argparse.ArgumentParser(add_help=False)
    shown.add_argument("-o", "--output", choices=["json"], help="print JSON")

    def verb(name: str, about: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        parents = [shown] if name == "lint" else [access, shown]
        made = verbs.add_parser(name, help=about, description=about, parents=parents, allow_abbrev=False)
        made.set_defaults(run=run, verb=name)
        return made

    for name, about, run in (
        ("status", "what serves, what is rolled out, and why it goes on or does not", _status),
        ("watch", "the same, live", _watch),
    ):
        made = verb(name, about, run)
        made.add_argument("name", nargs="?", metavar="NAME", help="an object; all of the namespace without it")
        made.add_argument("-A", "--all-namespaces", action="store_true", help="those of all namespaces")
    made = verb("history", "attempts that have ended, newest first", _history)
    made.add_argument("name", metavar="NAME")
    made.add_argument("--acts", action="store_true", help="every act in its place: requests, steps, approvals, reverts")
    kind = made.add_mutually_exclusive_group()
    kind.add_argument("--promotion", action="store_true", help="NAME is a ModelPromotion: its acts")
    kind.add_argument("--retraining", action="store_true", help="NAME is a RetrainingRequest: its acts")
    for name, about in ACTIONS.items():
        made = verb(name, about, _act)
        made.add_argument("name", metavar="NAME")
        made.add_argument("--attempt", metavar="7/2", help="version and attempt, in place of what the status says")
    made = verb("dismiss", "forget alerts that hold a rollout and whose end nobody will tell", _act)
    made.add_argument("name", metavar="NAME")
    made.add_argument("--alert", dest="attempt", metavar="ID", help="one of status.alerts, in place of all of them")
    for name, about in WORDS.items():
        made = verb(name, about, _say)
        made.add_argument("name", metavar="NAME")
        made.add_argument("--promotion", action="store_true", help="NAME is a ModelPromotion")
        made.add_argument("--weight", type=int, metavar="25", help="a step, in place of the one that waits")
        made.add_argument("--group", action="append", default=[], help="a group that you speak for, where one is asked")
        made.add_argument("--comment", metavar="TEXT", help="why, for people")
    made = verb("lint", "check manifests without a cluster, by the rules of API server and operator", _lint)
    made.add_argument("-f", "--filename", action="append", required=True, metavar="FILE", help="- is standard input")
    made.add_argument("-R", "--recursive", action="store_true", help="directories with what is below them")
    return parser


def _access() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("flags of kubectl")
    for flags in VALUED:
        group.add_argument(*flags, metavar="VALUE", action=_HandOn)
    for flag in BARE:
        group.add_argument(flag, action=_HandOn, nargs=0)
    parser.set_defaults(flags=())
    return parser


class _HandOn(argparse.Action):
    """Keeps a flag for kubectl as it was given."""

    def __call__(self, _parser: Any, namespace: argparse.Namespace, value: Any, _flag: str | None = None) -> None:
        text = f"{self.option_strings[0]}={value}" if isinstance(value, str) else self.option_strings[0]
        namespace.flags = (*namespace.flags, text)


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


def _print(lines: Sequence[str]) -> None:
    print("\n".join(lines))


def _status(options: argparse.Namespace) -> int:
    kubectl, now = Kubectl(flags=options.flags), datetime.now(tz=UTC)
    if options.name:
        body = kubectl.get(options.name)
        _print_json(view.data(body)) if options.output else _print(view.detail(body, now))
        return 0
    bodies = kubectl.all_of(everywhere=options.all_namespaces)
    if options.output:
        _print_json([view.data(body) for body in bodies])
    elif bodies:
        _print(view.table(bodies, now, everywhere=options.all_namespaces))
    else:
        print("no ModelDeployments here", file=sys.stderr)
    return 0


def _watch(options: argparse.Namespace) -> int:
    kubectl = Kubectl(flags=options.flags)
    watch(kubectl, options.name, everywhere=options.all_namespaces, as_json=bool(options.output))
    return 0


def _history(options: argparse.Namespace) -> int:
    asking = {PROMOTIONS: options.promotion, RETRAININGS: options.retraining}
    resource = next((name for name, chosen in asking.items() if chosen), RESOURCE)
    body = Kubectl(flags=options.flags).get(options.name, resource)
    acts = options.acts or resource != RESOURCE
    if options.output:
        past = list(reversed((body.get("status") or {}).get("history") or []))
        _print_json(view.acts(body) if acts else past)
    else:
        _print(view.trail(body) if acts else view.history(body))
    return 0


def _say(options: argparse.Namespace) -> int:
    kubectl, grant = Kubectl(flags=options.flags), options.verb == "approve"
    user = kubectl.whoami()
    if options.promotion:
        body = kubectl.get(options.name, PROMOTIONS)
        said = on_promotion(body, user, grant=grant, groups=options.group, comment=options.comment)
    else:
        body = kubectl.get(options.name)
        said = on_step(body, user, grant=grant, weight=options.weight, comment=options.comment)
    made = kubectl.create(said.manifest)
    if options.output:
        _print_json(made)
    else:
        meta = made["metadata"]
        print(view.plain(f"{meta['namespace']}/{meta['name']}: {said.message}"))
    return 0


def _act(options: argparse.Namespace) -> int:
    kubectl = Kubectl(flags=options.flags)
    body = kubectl.get(options.name)
    wish = intent(options.verb, body, options.attempt)
    if wish.needed:
        kubectl.annotate(body, wish.key, wish.value)
    meta = body["metadata"]
    if options.output:
        where = {"namespace": meta["namespace"], "name": meta["name"]}
        done = {"annotation": wish.key, "value": wish.value, "changed": wish.needed, "message": wish.message}
        _print_json(where | {"verb": options.verb} | done)
        return 0
    attempt = f" {wish.value}" if wish.value else ""
    already = "" if wish.needed else " (asked for already)"
    _print([view.plain(f"{meta['namespace']}/{meta['name']} {options.verb}{attempt}: {wish.message}{already}")])
    return 0


def _lint(options: argparse.Namespace) -> int:
    bodies = Kubectl().parse(options.filename, recursive=options.recursive)
    ours = [body for body in bodies if rules.is_ours(body)]
    if not ours:
        raise Missing("no ModelDeployment in what was given")
    results = [_checked(body) for body in ours]
    wrong = any(result["findings"] for result in results)
    if options.output:
        _print_json(results)
        return int(wrong)
    for result in results:
        for kind in ("findings", "warnings"):
            for found in result[kind]:
                word = "error" if kind == "findings" else "warning"
                print(view.plain(f"{result['object']}: {word}: {found['path']}: {found['message']}"))
        if not result["findings"]:
            print(view.plain(f"{result['object']}: right"))
    return int(wrong)


def _checked(body: Mapping[str, Any]) -> dict[str, Any]:
    meta = body.get("metadata") or {}
    place = f"{meta['namespace']}/" if meta.get("namespace") else ""
    found = {"findings": rules.findings(body), "warnings": rules.warnings(body)}
    told = {kind: [{"path": each.path, "message": each.message} for each in what] for kind, what in found.items()}
    return {"object": f"{place}{meta.get('name', '?')}", **told}
