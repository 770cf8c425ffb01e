"""A registry in memory, held to the same contract as the one over MLflow."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.reasons import Reason
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


class FakeRegistry:
    """`ports.Registry`, and what people do in one.

    `fail(reason, message)` makes every read fail until `fail(None)`; while `hanging` is set, reads wait. `reads` keeps
    the wishes of every read.
    """

    def __init__(self, url: str = "http://mlflow.test") -> None:
        self.reads: list[tuple[Wish, ...]] = []
        self.hanging = False
        self._url = url
        self._models: dict[str, _Model] = {}
        self._clock_ms = 1_700_000_000_000
        self._failure: Unavailable | None = None
        self._released = asyncio.Event()

    @property
    def url(self) -> str:
        return self._url

    async def resolve(self, wishes: Sequence[Wish]) -> Mapping[Wish, VersionId | Unavailable]:
        self.reads.append(tuple(wishes))
        while self.hanging:
            self._released.clear()
            await self._released.wait()
        return {wish: self._failure or self._resolve(*wish) for wish in wishes}

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
        return number

    def set_stage(self, model: str, number: str, stage: str) -> None:
        self._models[model].stages[number] = stage

    def set_alias(self, model: str, alias: str, number: str) -> None:
        self._models[model].aliases[alias] = number

    def drop_alias(self, model: str, alias: str) -> None:
        self._models[model].aliases.pop(alias, None)

    def delete_version(self, model: str, number: str) -> None:
        known = self._models[model]
        del known.ready[number], known.stages[number]
        known.aliases = {alias: of for alias, of in known.aliases.items() if of != number}

    def delete_model(self, model: str) -> None:
        del self._models[model]

    def add_prompt(self, name: str) -> None:
        self.register(name)
        self._models[name].prompt = True
        self.add_version(name)

    def _resolve(self, model: str, pointer: Pointer) -> VersionId | Unavailable:
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
