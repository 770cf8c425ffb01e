"""The operator's line to the registry that it writes to, which ends with the process."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tests.fakes.cluster import Crash, Phase
from tests.integration.loop.line import Line

from tidegate.core.registered import RegisteredModel, RegisteredVersion
from tidegate.core.values import Unavailable
from tidegate.ports import RegistryWriter

T = TypeVar("T")
RegistryFault = Callable[[int, Phase], None]


class WriterLine:
    """`ports.RegistryWriter` for one life of an operator, which `line` is the rest of.

    `writes` counts the writes of all lives, `faults` are called around each with its number; one that raises `Crash`
    ends this life. Every call takes a moment.
    """

    def __init__(self, writer: RegistryWriter, line: Line, writes: list[str], faults: list[RegistryFault]) -> None:
        self._writer = writer
        self._line = line
        self._writes = writes
        self._faults = faults

    @property
    def url(self) -> str:
        return self._writer.url

    async def read(self, model: str) -> RegisteredModel | Unavailable:
        return await self._asked(lambda: self._writer.read(model))

    async def version(self, model: str, number: str) -> RegisteredVersion | Unavailable:
        return await self._asked(lambda: self._writer.version(model, number))

    async def set_tag(self, model: str, number: str, key: str, value: str) -> Unavailable | None:
        return await self._write("set_tag", lambda: self._writer.set_tag(model, number, key, value))

    async def delete_tag(self, model: str, number: str, key: str) -> Unavailable | None:
        return await self._write("delete_tag", lambda: self._writer.delete_tag(model, number, key))

    async def set_alias(self, model: str, alias: str, number: str) -> Unavailable | None:
        return await self._write("set_alias", lambda: self._writer.set_alias(model, alias, number))

    async def delete_alias(self, model: str, alias: str) -> Unavailable | None:
        return await self._write("delete_alias", lambda: self._writer.delete_alias(model, alias))

    async def move(self, model: str, number: str, stage: str, *, archive: bool) -> Unavailable | None:
        return await self._write("move", lambda: self._writer.move(model, number, stage, archive=archive))

    async def delete_version(self, model: str, number: str) -> Unavailable | None:
        return await self._write("delete_version", lambda: self._writer.delete_version(model, number))

    async def close(self) -> None:
        await self._writer.close()

    async def _asked(self, call: Callable[[], Awaitable[T]]) -> T:
        await self._line.moment()
        answer = await call()
        await self._line.moment()
        return answer

    async def _write(self, verb: str, call: Callable[[], Awaitable[T]]) -> T:
        await self._line.moment()
        self._writes.append(verb)
        number = len(self._writes)
        await self._meet(number, "before")
        answer = await call()
        await self._meet(number, "after")
        await self._line.moment()
        return answer

    async def _meet(self, number: int, phase: Phase) -> None:
        try:
            for fault in self._faults:
                fault(number, phase)
        except Crash:
            await self._line.die()
