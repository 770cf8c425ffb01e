"""Many models are read in few requests, and one that fails hides no other."""

import json
from urllib.parse import parse_qs

from aiohttp import web
from tests.unit.adapters.faulty import ALIAS, WISH, Faulty, good, model, says

from tidegate.adapters.mlflow import RETRY_FILTER_AFTER, SINGLE_READS, filters
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable, VersionId


async def test_one_forbidden_model_does_not_hide_the_others(faulty: Faulty) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.query["name"] == "secret":
            return web.json_response({"error_code": "PERMISSION_DENIED", "message": "no"}, status=403)
        return await good(request)

    faulty.handler = answer
    answers = await faulty.registry.resolve([("secret", ALIAS), WISH, ("other", ALIAS)])
    assert {name: getattr(read, "reason", "ok") for (name, _), read in answers.items()} == {
        "secret": Reason.REGISTRY_FORBIDDEN,
        "fraud": "ok",
        "other": "ok",
    }


class Catalogue:
    """A registry with many models; `filtering` is what servers have since 3.17."""

    def __init__(self, names: list[str], *, filtering: bool, page: int = 10) -> None:
        self.names = sorted(names)
        self.filtering = filtering
        self.page = page
        self.searches = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/get"):
            name = request.query["name"]
            if name in self.names:
                return await good(request)
            body = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"no {name}"}
            return web.json_response(body, status=404)
        self.searches += 1
        assert len(request.path_qs) < 4094
        wanted = request.query.get("filter", "")
        if wanted and not self.filtering:
            body = {"error_code": "INVALID_PARAMETER_VALUE", "message": "Invalid comparator IN"}
            return web.json_response(body, status=400)
        if wanted:
            listed = set(json.loads(wanted.removeprefix("name IN (").removesuffix(")").join("[]").replace("'", '"')))
            return web.json_response({"registered_models": [model(n) for n in self.names if n in listed]})
        start = int(request.query.get("page_token") or 0)
        page = {"registered_models": [model(n) for n in self.names[start : start + self.page]]}
        more = {"next_page_token": str(start + self.page)} if start + self.page < len(self.names) else {}
        return web.json_response(page | more)


async def test_many_models_are_searched_for_by_name(faulty: Faulty) -> None:
    names = [f"model-{i:04}-{'x' * 40}" for i in range(200)]
    catalogue = Catalogue(names, filtering=True)
    faulty.handler = catalogue.answer
    answers = await faulty.reader(timeout=10).resolve([(name, ALIAS) for name in [*names, "gone"]])
    assert catalogue.searches == len(list(filters([*names, "gone"]))) < 10
    assert len(faulty.asked) == catalogue.searches + 1
    assert {name for (name, _), read in answers.items() if isinstance(read, Unavailable)} == {"gone"}


async def test_a_server_that_cannot_filter_is_walked_and_asked_again_later(faulty: Faulty) -> None:
    names = [f"model-{i:03}" for i in range(SINGLE_READS + 15)]
    catalogue = Catalogue(names, filtering=False)
    faulty.handler = catalogue.answer
    registry = faulty.reader(timeout=10)
    wishes = [(name, ALIAS) for name in names]
    first = await registry.resolve(wishes)
    assert all(isinstance(read, VersionId) for read in first.values())
    assert catalogue.searches == 1 + 5
    assert await registry.resolve(wishes) == first
    assert catalogue.searches == 1 + 5 + 5
    catalogue.page = 1000
    for _ in range(RETRY_FILTER_AFTER):
        await registry.resolve(wishes)
    assert sum("filter" in parse_qs(request.query_string) for request in faulty.asked) == 2
    await registry.close()


async def test_a_search_that_fails_is_told_for_every_model(faulty: Faulty) -> None:
    faulty.handler = says(401, "no")
    answers = await faulty.registry.resolve([(f"model-{i}", ALIAS) for i in range(SINGLE_READS + 10)])
    assert {getattr(read, "reason", "ok") for read in answers.values()} == {Reason.REGISTRY_UNAUTHORIZED}
    assert len(faulty.asked) <= 4


async def test_an_alias_costs_its_second_request_only_now_and_then(faulty: Faulty) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/model-versions/get"):
            version = {"name": "fraud", "version": request.query["version"], "status": "READY"}
            return web.json_response({"model_version": version})
        aliases = [{"alias": "champion", "version": "3"}]
        return web.json_response({"registered_model": model("fraud", aliases=aliases)})

    faulty.handler = answer
    for _ in range(10):
        read = await faulty.read()
        assert isinstance(read, VersionId)
        assert read.number == "3"
    assert len(faulty.asked) == 11
