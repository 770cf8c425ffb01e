"""An API server's word on tokens, in memory; held to the same contract as the real one."""

from tidegate.errors import Unreachable
from tidegate.ports import Caller


class FakeReviews:
    """`ports.Reviews`: `tokens` says whose they are, `may` has (user, namespace, name), `down` says nothing."""

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
        self.may: set[tuple[str, str, str]] = set()
        self.down = False

    async def identify(self, token: str) -> Caller | None:
        self._reach()
        name = self.tokens.get(token)
        return Caller(name=name) if name is not None else None

    async def may_revert(self, caller: Caller, namespace: str, name: str) -> bool:
        self._reach()
        return (caller.name, namespace, name) in self.may

    def _reach(self) -> None:
        if self.down:
            raise Unreachable("503")
