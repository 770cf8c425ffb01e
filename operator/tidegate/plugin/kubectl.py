"""The one place that runs `kubectl`: kubeconfig, context, log-in plug-ins, proxies and rights are its business."""

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from tidegate.core.labels import GROUP
from tidegate.plugin.failures import Failure, Lost, Missing, from_kubectl

#: By group, so that another group's kind of the same name is not meant.
RESOURCE = f"modeldeployments.v1alpha1.{GROUP}"
PROMOTIONS = f"modelpromotions.v1alpha1.{GROUP}"
RETRAININGS = f"retrainingrequests.v1alpha1.{GROUP}"
Body = dict[str, Any]
_NO_PROGRAM = "{} is not on the PATH: this plugin needs it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubectl:
    """`flags`: what the person gave for kubectl, such as `--context=prod`."""

    flags: tuple[str, ...] = ()
    program: str = "kubectl"

    def get(self, name: str, resource: str = RESOURCE) -> Body:
        """One object.

        Raises:
            Missing: there is none, or no such kind.
            Denied: the person may not read it.
        """
        return self._object(self._run("get", resource, name, "-o", "json"))

    def all_of(self, *, everywhere: bool = False) -> list[Body]:
        """All objects of the namespace, or of all of them."""
        scope = ["--all-namespaces"] if everywhere else []
        found: list[Body] = self._object(self._run("get", RESOURCE, *scope, "-o", "json"))["items"]
        return found

    def annotate(self, body: Body, key: str, value: str | None) -> Body:
        """Set an annotation of that very object, or take it away.

        Raises:
            Declined: the object was deleted, and made anew, since it was read.
            Denied: the person may not change it.
        """
        meta = body["metadata"]
        # With the uid the API server compares: what is acted upon is what was seen.
        patch = {"metadata": {"uid": meta["uid"], "annotations": {key: value}}}
        place = [f"--namespace={meta['namespace']}"]
        return self._object(
            self._run("patch", RESOURCE, meta["name"], *place, "--type=merge", "-p", json.dumps(patch), "-o", "json")
        )

    def whoami(self) -> Body:
        """The person, as the API server knows him: its `userInfo`."""
        found: Body = self._object(self._run("auth", "whoami", "-o", "json"))["status"]["userInfo"]
        return found

    def create(self, manifest: Mapping[str, Any]) -> Body:
        """Create an object.

        Raises:
            Denied: the person may not, or an admission policy says no.
        """
        text = json.dumps(manifest)
        return self._object(self._run("create", "-f", "-", "-o", "json", text=text))

    def parse(self, files: Sequence[str], *, recursive: bool) -> list[Body]:
        """Objects of files as kubectl reads them (YAML or JSON, `-` is standard input). No cluster is asked."""
        arguments = [f"--filename={name}" for name in files] + (["--recursive"] if recursive else [])
        command = [self.program, "patch", "--local", "--type=merge", "-p", "{}", "-o", "json", *arguments]
        # An empty kubeconfig: a manifest is checked without a cluster, so a broken one must not matter.
        done = self._process([*command, "--kubeconfig=/dev/null"], inherit_input="-" in files)
        bodies = list(objects(done.stdout))
        if done.returncode != 0:
            raise from_kubectl(done.stderr)
        return [item for body in bodies for item in (body["items"] if body.get("kind") == "List" else [body])]

    @contextmanager
    def watching(self, *arguments: str) -> Iterator["Watching"]:
        """Changes as they come; they end when the connection does."""
        command = [self.program, "get", RESOURCE, *arguments, *self.flags]
        watch = ["--watch", "--output-watch-events", "-o", "json"]
        # What it says goes to a file: a pipe that nobody reads meanwhile could fill up.
        with tempfile.TemporaryFile("w+") as said:
            process = self._start([*command, *watch], said)
            try:
                yield Watching(events=_events(process, said), stop=process.kill)
            finally:
                process.kill()
                process.communicate()

    def _start(self, command: Sequence[str], said: IO[str]) -> subprocess.Popen[str]:
        try:
            return subprocess.Popen(  # noqa: S603 (the person's own kubectl)
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, text=True
            )
        except FileNotFoundError as error:
            raise Missing(_NO_PROGRAM.format(self.program)) from error

    def _run(self, *arguments: str, text: str | None = None) -> str:
        done = self._process([self.program, *arguments, *self.flags], text=text)
        if done.returncode != 0:
            raise from_kubectl(done.stderr)
        return done.stdout

    def _process(
        self, command: Sequence[str], *, inherit_input: bool = False, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        given: Any = {"stdin": None if inherit_input else subprocess.DEVNULL} if text is None else {"input": text}
        try:
            return subprocess.run(command, capture_output=True, text=True, check=False, **given)  # noqa: S603
        except FileNotFoundError as error:
            raise Missing(_NO_PROGRAM.format(self.program)) from error

    def _object(self, text: str) -> Body:
        try:
            body: Body = json.loads(text)
        except ValueError as error:
            raise Failure(f"kubectl answered no JSON: {text[:100]!r}") from error
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """Events, each as (ADDED, MODIFIED or DELETED, object), and what ends them, from any thread."""

    events: Iterator[tuple[str, Body]]
    stop: Callable[[], None]


def _events(process: subprocess.Popen[str], said: IO[str]) -> Iterator[tuple[str, Body]]:
    if process.stdout is None:
        raise AssertionError("a pipe was asked for")
    for event in objects(iter(process.stdout.readline, "")):
        if event["type"] == "ERROR":  # such as: what was asked for is too old by now
            raise Lost(str(event["object"].get("message", "the API server ended the watch")))
        yield event["type"], event["object"]
    if process.wait() != 0:
        said.seek(0)
        raise from_kubectl(said.read())


def objects(parts: Iterator[str] | str) -> Iterator[Body]:
    """JSON objects that come one after the other, in parts of any size."""
    decoder, text = json.JSONDecoder(), ""
    for part in [parts] if isinstance(parts, str) else parts:
        text += part
        # Only a closing brace can end one; the rest of the lines isn't worth a try.
        while "}" in part and (text := text.lstrip()):
            try:
                body, end = decoder.raw_decode(text)
            except ValueError:
                break
            text = text[end:]
            yield body
