"""The MLflow model registry, through the official client in a few threads: one answer for each wish, never an error.

What a wish costs: up to `SINGLE_READS` distinct models are read one by one (milliseconds each), more by filtered
searches, and on servers before 3.17, which cannot filter by a list of names, by walking all pages.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote_plus

from tidegate.adapters.mlflow_details import MlflowDetails
from tidegate.adapters.mlflow_failures import Access, RegistryFault, access, unreachable
from tidegate.adapters.mlflow_loading import Loader
from tidegate.core.gates import VersionDetails, Wants
from tidegate.core.plan import Pointer, PointerKind
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable, VersionId
from tidegate.ports import Login

if TYPE_CHECKING:
    from tidegate.adapters.mlflow_client import Client, Model, Version

_T = TypeVar("_T")
Wish = tuple[str, Pointer]

#: Up to this many models one request each is cheaper for the server than a search.
SINGLE_READS = 30
#: Bytes of an encoded filter: with the rest it stays below the 4 KB that servers and proxies take in a request line.
LONGEST_FILTER = 3000
#: A version that was READY stays so; whether it was deleted meanwhile is looked at in every this many reads.
RECHECK_EVERY = 10
#: A server that could not filter is asked again after this many reads: it may have been upgraded.
RETRY_FILTER_AFTER = 60

#: A server that can't filter has all of its models read, every so many intervals.
WALK_EVERY = 5

_THREADS = 4
_REQUEST_SECONDS = 5.0
#: A call is given up this long after its own deadline: the thread is then stuck in something that no deadline reaches.
_GRACE_SECONDS = 1.0
_PASS_SECONDS = 15.0
_WALK_SECONDS = 60.0
#: These are about the server, whatever is asked of it: the other models of the same pass need not be asked for.
_ABOUT_THE_SERVER = frozenset(
    {
        Reason.REGISTRY_UNREACHABLE,
        Reason.REGISTRY_DATABASE_DOWN,
        Reason.REGISTRY_UNAUTHORIZED,
        Reason.REGISTRY_HOST_REFUSED,
        Reason.REGISTRY_NOT_TRUSTED,
        Reason.WORKSPACE_NOT_FOUND,
    }
)


class MlflowRegistry:
    """`ports.Registry` over MLflow.

    Args:
        login: Where it is and how one gets in; with an empty URI where nobody configured a registry.
        timeout: Seconds that one request may take.
    """

    def __init__(self, login: Login, *, timeout: float = _REQUEST_SECONDS) -> None:
        self._access = access(login)
        self._timeout = timeout
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="registry")
        self._loader: Loader[Client] = Loader("tidegate.adapters.mlflow_client:Client", self._pool, timeout)
        self._details = MlflowDetails(self._access)
        self._ready: dict[VersionId, int] = {}
        self._no_filter_for = 0

    @property
    def url(self) -> str:
        """See the port; empty where there is none that could be used."""
        return self._access.identity if isinstance(self._access, Access) else ""

    async def resolve(self, wishes: Sequence[Wish]) -> Mapping[Wish, VersionId | Unavailable]:
        """Read what each (model, pointer) names now. Takes at most about `_PASS_SECONDS`, a walk `_WALK_SECONDS`."""
        if isinstance(self._access, Unavailable):
            return dict.fromkeys(wishes, self._access)
        if not wishes:
            return {}
        client = await self._loader.client(self._access)
        current = _Pass(self._access, client, self._pool, self._timeout)
        names = sorted({model for model, _ in wishes})
        models = await (self._singly(current, names) if len(names) <= SINGLE_READS else self._searched(current, names))
        distinct = list(dict.fromkeys(wishes))
        answers = await asyncio.gather(*(self._pointed(current, models[model], ptr) for model, ptr in distinct))
        return dict(zip(distinct, answers, strict=True))

    @property
    def pace(self) -> int:
        """See the port."""
        return WALK_EVERY if self._no_filter_for else 1

    async def check(self) -> Unavailable | None:
        """See the port. Takes at most about `timeout`."""
        if isinstance(self._access, Unavailable):
            return self._access
        client = await self._loader.client(self._access)
        answer = await _Pass(self._access, client, self._pool, self._timeout).ask(client.check)
        return answer if isinstance(answer, Unavailable) else None

    async def describe(self, version: VersionId, wants: Wants) -> VersionDetails | Unavailable:
        """See the port. Has threads of its own: what takes long here delays no poll."""
        return await self._details.describe(version, wants)

    async def close(self) -> None:
        """Let the threads go; one that still waits for an answer ends by its own deadline."""
        await self._details.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _singly(self, current: "_Pass", names: Iterable[str]) -> dict[str, "Model | Unavailable"]:
        listed = list(names)
        read = await asyncio.gather(*(current.ask(partial(current.client.model, name)) for name in listed))
        return dict(zip(listed, read, strict=True))

    async def _searched(self, current: "_Pass", names: Sequence[str]) -> dict[str, "Model | Unavailable"]:
        found: dict[str, Model] = {}
        plain = [name for name in names if not set(name) & set("'\"\\`")]
        if self._no_filter_for:
            self._no_filter_for -= 1
            await current.walk(found, set(names))
        else:
            for wanted in filters(plain):
                page = await current.ask(partial(current.client.search, wanted, None))
                if not isinstance(page, Unavailable):
                    found |= page[0]
                elif current.filter_refused:
                    self._no_filter_for = RETRY_FILTER_AFTER
                    await current.walk(found, set(names))
                    break
        # A search tells neither prompts from nothing nor why: what it did not bring is asked for by name.
        rest = [name for name in names if name not in found]
        return found | await self._singly(current, rest)

    async def _pointed(
        self, current: "_Pass", model: "Model | Unavailable", pointer: Pointer
    ) -> VersionId | Unavailable:
        if isinstance(model, Unavailable):
            return model
        if model.prompt:
            return Unavailable(
                reason=Reason.NOT_A_MODEL,
                message=f"{model.name!r} in the registry is a prompt, not a model: correct spec.model.name",
            )
        number = _number(model, pointer)
        if isinstance(number, Unavailable):
            return number
        known = next((version for version in model.latest if version.number == number), None)
        newest = max((int(version.number) for version in model.latest if version.number.isdecimal()), default=0)
        if known is None and number.isdecimal() and int(number) > newest:
            # The newest version that is not deleted is the latest of its stage: there is nothing to ask for.
            return Unavailable(
                reason=Reason.VERSION_NOT_FOUND,
                message=f"model {model.name!r} has no version {number} (its newest is {newest or 'none'}): register "
                "it, or correct spec.model.version",
            )
        return await self._checked(current, model, number, known)

    async def _checked(
        self, current: "_Pass", model: "Model", number: str, known: "Version | None"
    ) -> VersionId | Unavailable:
        identity = VersionId(registry=self.url, model=model.name, model_created_ms=model.created_ms, number=number)
        if known is None:
            uses = self._ready.get(identity, RECHECK_EVERY) + 1
            if uses <= RECHECK_EVERY:
                self._ready[identity] = uses
                return identity
            answer = await current.ask(partial(current.client.version, model.name, number))
            if isinstance(answer, Unavailable):
                self._ready.pop(identity, None)
                return answer
            known = answer
            self._ready[identity] = 1
        if not known.ready:
            self._ready.pop(identity, None)
            return Unavailable(
                reason=Reason.VERSION_NOT_READY,
                message=f"version {number} of model {model.name!r} is not READY but {known.status}: wait for its "
                "registration to end, or register it again",
            )
        return VersionId(registry=self.url, model=model.name, model_created_ms=model.created_ms, number=known.number)


class _Pass:
    """One `resolve`: its deadline, and what is known of the server by now."""

    def __init__(self, where: Access, client: "Client", pool: ThreadPoolExecutor, timeout: float) -> None:
        self.client = client
        self.filter_refused = False
        self._access = where
        self._pool = pool
        self._timeout = timeout
        self._deadline = time.monotonic() + max(_PASS_SECONDS, timeout)
        self._slots = asyncio.Semaphore(_THREADS)
        self._blocked: Unavailable | None = None

    async def ask(self, work: Callable[[], _T]) -> _T | Unavailable:
        """One call, unless the server is known to answer none."""
        async with self._slots:
            if self._blocked is None and time.monotonic() > self._deadline:
                self._blocked = unreachable(self._access, "it is too slow for so many models").unavailable
            if self._blocked is not None:
                return self._blocked
            try:
                return await self._call(work)
            except RegistryFault as fault:
                self.filter_refused = fault.code == "INVALID_PARAMETER_VALUE"
                if fault.unavailable.reason in _ABOUT_THE_SERVER:
                    self._blocked = fault.unavailable
                return fault.unavailable

    async def _call(self, work: Callable[[], _T]) -> _T:
        try:
            async with asyncio.timeout(self._timeout + _GRACE_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except TimeoutError as error:
            raise unreachable(self._access, f"no answer within {self._timeout:g} s") from error

    async def walk(self, found: "dict[str, Model]", wanted: set[str]) -> None:
        """Read page after page of all models until each wanted one was seen. Ten thousand take a server some time."""
        self._deadline = time.monotonic() + max(_WALK_SECONDS, self._timeout)
        token: str | None = None
        while wanted - found.keys():
            page = await self.ask(partial(self.client.search, None, token))
            if isinstance(page, Unavailable):
                return
            models, token = page
            found |= {name: model for name, model in models.items() if name in wanted}
            if token is None:
                return


def login_from(environment: Mapping[str, str]) -> Login:
    """The operator's own registry, from the variables that MLflow's own clients read."""
    return Login(
        uri=environment.get("MLFLOW_TRACKING_URI", ""),
        username=environment.get("MLFLOW_TRACKING_USERNAME"),
        password=environment.get("MLFLOW_TRACKING_PASSWORD"),
        token=environment.get("MLFLOW_TRACKING_TOKEN"),
    )


def filters(names: Iterable[str]) -> Iterator[str]:
    """`name IN (...)` over all names, in as few filters as fit a request line each. Names hold no quotes."""
    batch: list[str] = []
    size = 0
    for name in names:
        length = len(quote_plus(f"'{name}',"))
        if batch and size + length > LONGEST_FILTER:
            yield f"name IN ({','.join(batch)})"
            batch, size = [], 0
        batch.append(f"'{name}'")
        size += length
    if batch:
        yield f"name IN ({','.join(batch)})"


def _number(model: "Model", pointer: Pointer) -> str | Unavailable:
    match pointer.kind:
        case PointerKind.VERSION:
            return str(int(pointer.value)) if pointer.value.isdecimal() else pointer.value
        case PointerKind.ALIAS:
            if pointer.value in model.aliases:
                return str(model.aliases[pointer.value])
            return Unavailable(
                reason=Reason.ALIAS_NOT_FOUND,
                message=f"model {model.name!r} has no alias {pointer.value!r} (it has {_listed(model.aliases)}): set "
                "it in MLflow, or correct spec.model.alias",
            )
        case PointerKind.STAGE:
            for version in model.latest:
                if version.stage.lower() == pointer.value.lower():
                    return version.number
            used = [version.stage for version in model.latest if version.stage != "None"]
            return Unavailable(
                reason=Reason.STAGE_EMPTY,
                message=f"model {model.name!r} has no version in stage {pointer.value!r} (it has versions in "
                f"{_listed(used)}): move one there in MLflow, or correct spec.model.stage",
            )


def _listed(names: Iterable[str], most: int = 8) -> str:
    ordered = sorted(names)
    return ", ".join(map(repr, ordered[:most])) + (", …" if len(ordered) > most else "") if ordered else "none"
