"""A registry in memory, held to the same contracts (reading and writing) as those over MLflow."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import yaml

from tidegate.adapters.model_file import parsed
from tidegate.core.gates import ModelFile, VersionDetails, Wants
from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.reasons import Reason
from tidegate.core.registered import RegisteredModel, RegisteredVersion
from tidegate.core.values import Unavailable, VersionId

Wish = tuple[str, Pointer]


@dataclass(slots=True, kw_only=True)
class _Model:
    created_ms: int
    prompt: bool = False
    newest: int = 0
    ready: dict[str, bool] = field(default_factory=dict)
    stages: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    born: dict[str, float] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    files: dict[str, ModelFile] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)


class FakeRegistry:
    """`ports.Registry`, and what people do in one. `writer` is its `ports.RegistryWriter`.

    `fail(reason, message)` makes every read fail until `fail(None)`; while `hanging` is set, reads wait. `reads` keeps
    the wishes of every read.
    """

    def __init__(self, url: str = "http://mlflow.test") -> None:
        self.reads: list[tuple[Wish, ...]] = []
        self.checks = 0
        self.pace = 1
        self.forbidden: set[str] = set()
        self.hanging = False
        self._url = url
        self._models: dict[str, _Model] = {}
        self._clock_ms = 1_700_000_000_000
        self._failure: Unavailable | None = None
        self._released = asyncio.Event()
        self.writer = FakeWriter(self)

    @property
    def url(self) -> str:
        return self._url

    async def resolve(self, wishes: Sequence[Wish]) -> Mapping[Wish, VersionId | Unavailable]:
        self.reads.append(tuple(wishes))
        while self.hanging:
            self._released.clear()
            await self._released.wait()
        return {wish: self._failure or self._resolve(*wish) for wish in wishes}

    async def check(self) -> Unavailable | None:
        self.checks += 1
        while self.hanging:
            self._released.clear()
            await self._released.wait()
        return self._failure

    async def close(self) -> None:
        self.release()

    def release(self) -> None:
        """Let reads that hang go on."""
        self.hanging = False
        self._released.set()

    def fail(self, reason: Reason | None, message: str = "down") -> None:
        self._failure = Unavailable(reason=reason, message=message) if reason is not None else None

    def register(self, model: str) -> None:
        self._clock_ms += 1
        self._models[model] = _Model(created_ms=self._clock_ms)

    def add_version(self, model: str, *, ready: bool = True) -> str:
        known = self._models[model]
        known.newest += 1
        number = str(known.newest)
        known.ready[number] = ready
        known.stages[number] = "None"
        self.change(model, number)
        return number

    def set_stage(self, model: str, number: str, stage: str) -> None:
        self._models[model].stages[number] = stage
        self.change(model, number)

    def change(self, model: str, number: str, at: float | None = None) -> None:
        """The version was last changed now, or at that moment (seconds since the epoch)."""
        self._clock_ms += 1
        self._models[model].changed[number] = self._clock_ms if at is None else int(at * 1000)

    def set_alias(self, model: str, alias: str, number: str) -> None:
        self._models[model].aliases[alias] = number

    def drop_alias(self, model: str, alias: str) -> None:
        self._models[model].aliases.pop(alias, None)

    def delete_version(self, model: str, number: str) -> None:
        known = self._models[model]
        del known.ready[number], known.stages[number]
        known.tags.pop(number, None)
        known.aliases = {alias: of for alias, of in known.aliases.items() if of != number}

    def delete_model(self, model: str) -> None:
        del self._models[model]

    def add_prompt(self, name: str) -> None:
        self.register(name)
        self._models[name].prompt = True
        self.add_version(name)

    def failure(self) -> Unavailable | None:
        """Why nothing is answered now."""
        return self._failure

    def model(self, name: str) -> _Model | Unavailable:
        """What there is of a model."""
        known = self._models.get(name)
        return known or Unavailable(reason=Reason.MODEL_NOT_FOUND, message=f"no model {name!r}")

    def tags(self, model: str, number: str) -> dict[str, str]:
        """The tags of a version."""
        return dict(self._models[model].tags.get(number, {}))

    def set_tag(self, model: str, number: str, name: str, value: str) -> None:
        self._models[model].tags.setdefault(number, {})[name] = value

    def born(self, model: str, number: str, at: float) -> None:
        """It was registered at that moment (seconds since the epoch)."""
        self._models[model].born[number] = at

    def log_metric(self, model: str, number: str, name: str, value: float) -> None:
        """A metric of the version's run; the first one makes the run."""
        self._models[model].metrics.setdefault(number, {})[name] = value

    def log_model(self, model: str, number: str, file: ModelFile) -> None:
        """The file MLmodel of a version."""
        self._models[model].files[number] = file

    def add_logged(
        self, model: str, metrics: Mapping[str, float], mlmodel: str | None, *, example: str | None = None
    ) -> str:
        """One more version, with a run that has these metrics, and with these words in its files."""
        number = self.add_version(model)
        self._models[model].metrics[number] = dict(metrics)
        if example is not None:
            self._models[model].examples[number] = example
        if mlmodel is not None:
            self.log_model(model, number, parsed(yaml.safe_load(mlmodel)))
        return number

    def drop_tag(self, model: str, number: str, name: str) -> None:
        self._models[model].tags.get(number, {}).pop(name, None)

    async def describe(self, version: VersionId, wants: Wants) -> VersionDetails | Unavailable:
        """`ports.Details`: it is the same registry."""
        while self.hanging:
            self._released.clear()
            await self._released.wait()
        known = self._models.get(version.model)
        if self._failure is not None:
            return self._failure
        if known is None or version.number not in known.ready:
            message = f"model {version.model!r} has no version {version.number}: it may have been deleted"
            return Unavailable(reason=Reason.VERSION_NOT_FOUND, message=message)
        born = known.born.get(version.number, self._clock_ms / 1000)
        number = version.number
        file = known.files.get(number)
        if (wants.model or wants.example) and file is None:
            return Unavailable(reason=Reason.NOT_A_MODEL, message=f"version {number} has no file MLmodel")
        named = file.example if file is not None and wants.example else None
        if named is not None and number not in known.examples:
            return Unavailable(reason=Reason.NOT_A_MODEL, message=f"version {number} has no file {named}")
        metrics = known.metrics.get(number) if wants.run else None
        return VersionDetails(
            tags=dict(known.tags.get(number, {})),
            created=born,
            metrics=dict(metrics) if metrics is not None else None,
            model=file if wants.model else None,
            example=known.examples[number] if named is not None else None,
        )

    def _resolve(self, model: str, pointer: Pointer) -> VersionId | Unavailable:
        if model in self.forbidden:
            return Unavailable(reason=Reason.REGISTRY_FORBIDDEN, message=f"{model!r} may not be read: grant READ")
        known = self._models.get(model)
        if known is None:
            return Unavailable(reason=Reason.MODEL_NOT_FOUND, message=f"no model {model!r}: register it")
        if known.prompt:
            return Unavailable(reason=Reason.NOT_A_MODEL, message=f"{model!r} is a prompt: correct spec.model.name")
        number = self._number(known, pointer)
        if number is None:
            reason = {
                PointerKind.STAGE: Reason.STAGE_EMPTY,
                PointerKind.ALIAS: Reason.ALIAS_NOT_FOUND,
                PointerKind.VERSION: Reason.VERSION_NOT_FOUND,
            }[pointer.kind]
            return Unavailable(
                reason=reason, message=f"model {model!r} has no {pointer.kind} {pointer.value!r}: set it"
            )
        if not known.ready[number]:
            message = f"version {number} of model {model!r} is not READY: wait"
            return Unavailable(reason=Reason.VERSION_NOT_READY, message=message)
        return VersionId(registry=self._url, model=model, model_created_ms=known.created_ms, number=number)

    def _number(self, known: _Model, pointer: Pointer) -> str | None:
        match pointer.kind:
            case PointerKind.ALIAS:
                return known.aliases.get(pointer.value)
            case PointerKind.VERSION:
                number = str(int(pointer.value)) if pointer.value.isdecimal() else pointer.value
                return number if number in known.ready else None
            case PointerKind.STAGE:
                within = [n for n, stage in known.stages.items() if stage.lower() == pointer.value.lower()]
                return max(within, key=int, default=None)


class FakeWriter:
    """`ports.RegistryWriter` over a `FakeRegistry`.

    `writes` keeps every write that arrived. `before(write)` and `after(write)` are called around each one: a test
    counts there, breaks the registry, or ends the writer in between. An answer of `before` is given instead of the
    write, one of `after` instead of its answer (the write was done, and nobody learns it). `unread` is what whoever
    reads a whole model is told instead of it.
    """

    def __init__(self, registry: FakeRegistry) -> None:
        self._registry = registry
        self.writes: list[tuple[str, ...]] = []
        self.before: Callable[[tuple[str, ...]], Unavailable | None] = _nothing
        self.after: Callable[[tuple[str, ...]], Unavailable | None] = _nothing
        self.unread: Unavailable | None = None

    @property
    def url(self) -> str:
        return self._registry.url

    async def read(self, model: str) -> RegisteredModel | Unavailable:
        known = self.unread or self._known(model)
        if isinstance(known, Unavailable):
            return known
        versions = sorted(known.ready, key=int)
        return RegisteredModel(
            name=model,
            created_ms=known.created_ms,
            aliases=dict(known.aliases),
            versions=tuple(_registered(known, number) for number in versions),
        )

    async def version(self, model: str, number: str) -> RegisteredVersion | Unavailable:
        known = self._known(model, number)
        return known if isinstance(known, Unavailable) else _registered(known, number)

    async def set_tag(self, model: str, number: str, key: str, value: str) -> Unavailable | None:
        def work(known: _Model) -> None:
            known.tags.setdefault(number, {})[key] = value

        return self._write(("set_tag", model, number, key, value), work, number)

    async def delete_tag(self, model: str, number: str, key: str) -> Unavailable | None:
        def work(known: _Model) -> None:
            known.tags.get(number, {}).pop(key, None)

        return self._write(("delete_tag", model, number, key), work, number)

    async def set_alias(self, model: str, alias: str, number: str) -> Unavailable | None:
        def work(known: _Model) -> Unavailable | None:
            if alias.lower() == "latest":
                return Unavailable(reason=Reason.REGISTRY_REFUSED, message=f"{alias} of {model!r} is reserved")
            known.aliases[alias] = number
            return None

        return self._write(("set_alias", model, alias, number), work, number)

    async def delete_alias(self, model: str, alias: str) -> Unavailable | None:
        return self._write(("delete_alias", model, alias), lambda known: known.aliases.pop(alias, None) and None)

    async def move(self, model: str, number: str, stage: str, *, archive: bool) -> Unavailable | None:
        def work(known: _Model) -> None:
            for other, where in known.stages.items():
                if archive and where.lower() == stage.lower():
                    known.stages[other] = "Archived"
                    self._registry.change(model, other)
            known.stages[number] = stage.capitalize()
            self._registry.change(model, number)

        return self._write(("move", model, number, stage, str(archive)), work, number)

    async def delete_version(self, model: str, number: str) -> Unavailable | None:
        answer = self._write(
            ("delete_version", model, number), lambda _: self._registry.delete_version(model, number), number
        )
        gone = {Reason.MODEL_NOT_FOUND, Reason.VERSION_NOT_FOUND}
        return None if answer is not None and answer.reason in gone else answer

    async def close(self) -> None:
        self._registry.release()

    def _known(self, model: str, number: str | None = None) -> _Model | Unavailable:
        known = self._registry.failure() or self._registry.model(model)
        if isinstance(known, Unavailable) or number is None or number in known.ready:
            return known
        return Unavailable(reason=Reason.VERSION_NOT_FOUND, message=f"no version {number} of model {model!r}")

    def _write(
        self, write: tuple[str, ...], work: Callable[[_Model], Unavailable | None], number: str | None = None
    ) -> Unavailable | None:
        refused = self.before(write)
        if refused is not None:
            return refused
        known = self._known(write[1], number)
        if isinstance(known, Unavailable):
            return known
        self.writes.append(write)
        return work(known) or self.after(write)


def _nothing(_write: tuple[str, ...]) -> Unavailable | None:
    return None


def _registered(known: _Model, number: str) -> RegisteredVersion:
    return RegisteredVersion(
        number=number,
        stage=known.stages[number],
        ready=known.ready[number],
        tags=dict(known.tags.get(number, {})),
        created_ms=known.created_ms,
        updated_ms=known.changed[number],
    )
