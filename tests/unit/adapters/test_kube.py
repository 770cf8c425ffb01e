"""How the adapter reads what an API server, or something in its place, answers, on a loopback server."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tidegate.adapters.access import Access, Identity
from tidegate.adapters.kube import KubeCluster
from tidegate.errors import ClusterError, Conflict, NotServed, Refused, Unreachable

BOX = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "box", "namespace": "ml"}, "data": {"a": "1"}}
Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]
Start = Callable[[Serve], Awaitable[KubeCluster]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts a server that answers everything with one handler, and a client of it."""
    ends: list[Callable[[], Awaitable[None]]] = []

    async def started(serve: Serve) -> KubeCluster:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", serve)
        server = TestServer(app)
        await server.start_server()
        access = Access(known(str(server.make_url("")), {"Authorization": "Bearer secret"}))
        ends.extend([access.close, server.close])
        return KubeCluster(access, total=0.5)

    yield started
    for end in ends:
        await end()


def known(server: str, headers: Mapping[str, str]) -> Identity:
    async def now() -> Mapping[str, str]:
        return headers

    return Identity(server=server, tls=ssl.create_default_context(), headers=now)


def status(message: str = "", **fields: Any) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "message": message, **fields}


async def test_an_apply_says_who_applies_and_how(start: Start) -> None:
    seen: dict[str, Any] = {}

    async def serve(request: web.Request) -> web.Response:
        seen.update(method=request.method, path=request.path, query=dict(request.query), body=await request.json())
        seen.update(content=request.content_type, token=request.headers["Authorization"])
        return web.json_response({**BOX, "status": "done"})

    answer = await (await start(serve)).apply(BOX)

    assert answer["status"] == "done"
    assert seen == {
        "method": "PATCH",
        "path": "/api/v1/namespaces/ml/configmaps/box",
        "query": {"fieldManager": "tidegate", "force": "true", "fieldValidation": "Strict"},
        "body": BOX,
        "content": "application/apply-patch+yaml",
        "token": "Bearer secret",
    }


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        (400, "unknown field", Refused),
        (401, "Unauthorized", Unreachable),
        (403, "forbidden", Refused),
        (404, "the server could not find the requested resource", NotServed),
        (409, "the object has been modified", Conflict),
        (410, "the page is too old", Unreachable),
        (413, "too large", Refused),
        (422, "is invalid", Refused),
        (429, "too many requests", Unreachable),
        (500, "failed calling webhook", Unreachable),
        (500, "failed to create typed patch object (x): .spec.y: field not declared in schema", Refused),
        (503, "shutting down", Unreachable),
        (504, "timed out", Unreachable),
    ],
)
async def test_an_error_says_whether_to_try_again_and_what_the_server_said(
    start: Start, code: int, message: str, error: type[ClusterError]
) -> None:
    async def serve(_: web.Request) -> web.Response:
        return web.json_response(status(message), status=code)

    cluster = await start(serve)
    for act in (cluster.apply(BOX), cluster.create(BOX), cluster.get("ConfigMap", "ml", "box")):
        with pytest.raises(ClusterError) as caught:
            await act
        assert type(caught.value) is error
        assert message in str(caught.value)
        assert f"({code})" in str(caught.value)


async def test_only_a_404_about_that_object_means_that_it_is_absent(start: Start) -> None:
    async def serve(_: web.Request) -> web.Response:
        return web.json_response(status("not found", details={"name": "box"}), status=404)

    cluster = await start(serve)
    assert await cluster.get("ConfigMap", "ml", "box") is None
    await cluster.delete("ConfigMap", "ml", "box", uid="u")
    with pytest.raises(Conflict):
        await cluster.apply_status(BOX)
    with pytest.raises(Refused):
        await cluster.apply(BOX)


async def test_a_delete_names_the_object_that_is_meant(start: Start) -> None:
    bodies: list[Any] = []

    async def serve(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        return web.json_response(status("the UID in the precondition is another's"), status=409)

    await (await start(serve)).delete("ConfigMap", "ml", "box", uid="u")
    assert bodies == [{"propagationPolicy": "Background", "preconditions": {"uid": "u"}}]


@pytest.mark.parametrize("text", ["<html>welcome</html>", "[]", ""])
async def test_something_else_in_the_api_servers_place_is_no_answer(start: Start, text: str) -> None:
    async def serve(_: web.Request) -> web.Response:
        return web.Response(text=text)

    with pytest.raises(Unreachable, match="not from an API server"):
        await (await start(serve)).get("ConfigMap", "ml", "box")


async def test_a_proxys_error_page_is_quoted_in_one_bounded_line(start: Start) -> None:
    async def serve(_: web.Request) -> web.Response:
        return web.Response(text="<html>\n" + "bad gateway " * 500, status=502)

    with pytest.raises(Unreachable) as caught:
        await (await start(serve)).apply(BOX)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


async def test_silence_is_unreachable_within_the_limit(start: Start) -> None:
    enough = asyncio.Event()

    async def serve(_: web.Request) -> web.Response:
        await enough.wait()
        return web.json_response(BOX)

    cluster = await start(serve)
    with pytest.raises(Unreachable, match="no answer in time"):
        await cluster.apply(BOX)
    enough.set()


async def test_nobody_listening_is_unreachable() -> None:
    access = Access(known("http://127.0.0.1:9", {}))
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
        await KubeCluster(access).apply(BOX)
    await access.close()


@pytest.mark.parametrize(("act", "requests"), [("apply", 2), ("create", 1)])
async def test_an_apply_survives_a_connection_that_was_closed_while_idle_and_a_create_is_never_made_twice(
    start: Start, act: str, requests: int
) -> None:
    seen: list[str] = []

    async def serve(request: web.Request) -> web.Response:
        seen.append(request.method)
        if len(seen) == 1:
            assert request.transport is not None
            request.transport.close()
        return web.json_response(BOX)

    cluster = await start(serve)
    if act == "create":
        with pytest.raises(Unreachable):
            await cluster.create(BOX)
    else:
        assert await cluster.apply(BOX) == BOX
    assert len(seen) == requests


async def test_a_connection_that_closes_again_is_unreachable(start: Start) -> None:
    async def serve(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.json_response(BOX)

    with pytest.raises(Unreachable):
        await (await start(serve)).apply(BOX)


async def test_a_list_is_read_page_by_page(start: Start) -> None:
    asked: list[dict[str, str]] = []

    async def serve(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        first = "continue" not in request.query
        item = {"metadata": {"name": "a" if first else "b", "namespace": "ml"}}
        return web.json_response({"items": [item], "metadata": {"continue": "more"} if first else {}})

    found = await (await start(serve)).list("Service", None)

    assert [(body["apiVersion"], body["kind"], body["metadata"]["name"]) for body in found] == [
        ("v1", "Service", "a"),
        ("v1", "Service", "b"),
    ]
    selector = {"limit": "100", "labelSelector": "app.kubernetes.io/managed-by=tidegate"}
    assert asked == [selector, {**selector, "continue": "more"}]


async def test_a_token_is_read_anew_for_each_request(start: Start) -> None:
    tokens: list[str | None] = []

    async def serve(request: web.Request) -> web.Response:
        tokens.append(request.headers.get("Authorization"))
        return web.json_response(BOX)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serve)
    server = TestServer(app)
    await server.start_server()
    headers: dict[str, str] = {}
    access = Access(known(str(server.make_url("")), headers))
    cluster = KubeCluster(access)
    await cluster.apply(BOX)
    headers["Authorization"] = "Bearer one"
    await cluster.apply(BOX)
    headers["Authorization"] = "Bearer two"
    await cluster.apply(BOX)
    await access.close()
    await server.close()
    assert tokens == [None, "Bearer one", "Bearer two"]


async def test_the_last_line_of_a_log_is_asked_for_by_itself_and_cut(start: Start) -> None:
    seen: dict[str, Any] = {}

    async def serve(request: web.Request) -> web.Response:
        seen.update(path=request.path, query=dict(request.query))
        return web.Response(text="no model to serve\n")

    cluster = await start(serve)

    assert await cluster.last_line("ml", "a", "model", previous=True) == "no model to serve"
    query = {"container": "model", "tailLines": "1", "limitBytes": "1024", "previous": "true"}
    assert seen == {"path": "/api/v1/namespaces/ml/pods/a/log", "query": query}


async def test_the_log_of_a_container_that_the_kubelet_has_removed_is_nothing(start: Start) -> None:
    async def serve(request: web.Request) -> web.Response:
        return web.Response(text="unable to retrieve container logs for containerd://da6a15a09cc586aa")

    assert await (await start(serve)).last_line("ml", "a", "model", previous=False) == ""


@pytest.mark.parametrize("answer", [400, 403, 404, 500, None])
async def test_a_log_that_cannot_be_read_is_nothing(start: Start, answer: int | None) -> None:
    async def serve(request: web.Request) -> web.Response:
        if answer is None:
            assert request.transport is not None
            request.transport.close()
        return web.json_response(status("may not"), status=answer or 200)

    assert await (await start(serve)).last_line("ml", "a", "model", previous=False) == ""
