"""The part of an HTTPRoute (Gateway API v1) that users choose, checked as the Gateway API itself checks it.

A route that the API server would refuse must be refused here, before any pod is started for it.
"""

import re
from typing import Annotated, Literal

from pydantic import Field

from tidegate.api.rules import Rule, Text, Unique, Wire
from tidegate.api.scalars import Duration, Label, ObjectName, seconds

# What the Gateway API takes for the characters of a path (RFC 3986, pchar).
_PATH_CHARACTERS = r"^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$"
_SPECIAL = {"ReplaceFullPath": "replace_full_path", "ReplacePrefixMatch": "replace_prefix_match"}

_Path = Annotated[
    str,
    Text(
        pattern=r"^/[^#\x00-\x20]*$",
        max_length=1024,
        remedy="must be an absolute path such as /v1/score, without spaces and '#'",
    ),
]

_HeaderName = Annotated[
    str,
    Text(
        pattern=r"^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$",
        max_length=256,
        remedy="must be a name of letters, digits and !#$%&'*+-.^_`|~ (RFC 9110)",
    ),
]

_Value = Annotated[str, Field(min_length=1, max_length=4096)]


class ParentRef(Wire):
    """A Gateway (or one listener of it) that the route attaches to."""

    group: Literal["gateway.networking.k8s.io"] | None = None
    """Group of the parent; only Gateways are supported."""
    kind: Literal["Gateway"] | None = None
    """Kind of the parent; only Gateways are supported."""
    namespace: Label | None = None
    """Namespace of the Gateway; absent: the namespace of this object."""
    name: ObjectName
    """Name of the Gateway."""
    section_name: ObjectName | None = None
    """Name of one listener of the Gateway; absent: all that let the route in."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """Port of the listeners to attach to; absent: any."""

    def overlaps(self, other: "ParentRef") -> bool:
        """Whether the Gateway API takes both for the same listener: only sectionName tells them apart for it."""
        return (self.namespace, self.name) == (other.namespace, other.name) and (
            self.section_name is None or other.section_name is None or self.section_name == other.section_name
        )


class PathMatch(Wire):
    """What a request's path must be."""

    rules = (
        Rule(
            cel="self.type == 'RegularExpression' || (self.value.startsWith('/') && "
            "!['//', '/./', '/../', '%2f', '%2F', '#'].exists(s, self.value.contains(s)) && "
            "!self.value.endsWith('/..') && !self.value.endsWith('/.') && "
            f'self.value.matches(r"{_PATH_CHARACTERS}"))',
            holds=lambda match: match.type == "RegularExpression" or _normal(match.value),
            message="must be an absolute path such as /v1/score, without //, /./, /../, %2F, # and blanks",
            field="value",
        ),
    )
    type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    """How the value is compared. A regular expression is the gateway's own dialect."""
    value: Annotated[str, Field(min_length=1, max_length=1024)] = "/"
    """What the path is compared with."""


def _normal(path: str) -> bool:
    parts = ("//", "/./", "/../", "%2f", "%2F", "#")
    return (
        path.startswith("/")
        and not any(part in path for part in parts)
        and not path.endswith(("/..", "/."))
        and re.fullmatch(_PATH_CHARACTERS, path) is not None
    )


class ValueMatch(Wire):
    """What a header or a query parameter must be."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    """How the value is compared."""
    name: _HeaderName
    """Name of the header or parameter."""
    value: _Value
    """What it is compared with."""


_ValueMatches = Annotated[list[ValueMatch], Field(max_length=16), Unique(key="name")]


class Match(Wire):
    """A condition on requests; all its parts must hold."""

    path: PathMatch | None = None
    """Condition on the path; absent: any."""
    headers: _ValueMatches | None = None
    """Conditions on headers."""
    query_params: _ValueMatches | None = None
    """Conditions on query parameters."""
    method: Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"] | None = None
    """The HTTP method; absent: any."""


class Header(Wire):
    """A header and its value."""

    name: _HeaderName
    """Name of the header."""
    value: _Value
    """Value of the header."""


_Headers = Annotated[list[Header], Field(min_length=1, max_length=16), Unique(key="name")]


class HeaderFilter(Wire):
    """Changes to headers."""

    rules = (
        Rule(
            cel="has(self.set) || has(self.add) || has(self.remove)",
            holds=lambda change: any(part is not None for part in (change.set_, change.add, change.remove)),
            message="say what to set, add or remove",
        ),
    )
    set_: _Headers | None = Field(default=None, alias="set")
    """Headers to write over."""
    add: _Headers | None = None
    """Headers to add to what is there."""
    remove: Annotated[list[_HeaderName], Field(min_length=1, max_length=16), Unique()] | None = None
    """Names of headers to take away."""


class PathModifier(Wire):
    """What the path becomes."""

    rules = (
        Rule(
            cel="(self.type == 'ReplaceFullPath') == has(self.replaceFullPath) && "
            "(self.type == 'ReplacePrefixMatch') == has(self.replacePrefixMatch)",
            holds=lambda change: (
                [kind for kind, name in _SPECIAL.items() if getattr(change, name) is not None] == [change.type]
            ),
            message="set replaceFullPath for type ReplaceFullPath, replacePrefixMatch for ReplacePrefixMatch",
        ),
    )
    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"]
    """Which part of the path is replaced."""
    replace_full_path: _Path | None = None
    """The whole new path."""
    replace_prefix_match: _Path | None = None
    """What takes the place of the matched prefix."""


class UrlRewrite(Wire):
    """Changes to the request's URL on its way to the model."""

    hostname: ObjectName | None = None
    """The host name that the model sees."""
    path: PathModifier | None = None
    """The path that the model sees."""


class ExtensionRef(Wire):
    """A filter of the gateway's own."""

    group: ObjectName
    """API group of the filter."""
    kind: Annotated[
        str,
        Text(
            pattern=r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$",
            max_length=63,
            remedy="must be a kind such as RateLimitFilter",
        ),
    ]
    """Kind of the filter."""
    name: ObjectName
    """Name of the filter, in the namespace of this object."""


_FILTERS = {
    "RequestHeaderModifier": "request_header_modifier",
    "ResponseHeaderModifier": "response_header_modifier",
    "URLRewrite": "url_rewrite",
    "ExtensionRef": "extension_ref",
}


def _its_own_field(part: "Filter") -> bool:
    return [kind for kind, name in _FILTERS.items() if getattr(part, name) is not None] == [part.type]


class Filter(Wire):
    """What the gateway does to requests or answers of the model, whichever version answers."""

    rules = (
        Rule(
            cel=" && ".join(
                f"(self.type == '{kind}') == has(self.{field})"
                for kind, field in (
                    ("RequestHeaderModifier", "requestHeaderModifier"),
                    ("ResponseHeaderModifier", "responseHeaderModifier"),
                    ("URLRewrite", "urlRewrite"),
                    ("ExtensionRef", "extensionRef"),
                )
            ),
            holds=_its_own_field,
            message="set exactly the field that belongs to the type, for example urlRewrite for URLRewrite",
        ),
    )
    type: Literal["RequestHeaderModifier", "ResponseHeaderModifier", "URLRewrite", "ExtensionRef"]
    """Which filter this is. Mirrors and redirects are not supported: they change who answers."""
    request_header_modifier: HeaderFilter | None = None
    """Changes to headers of requests."""
    response_header_modifier: HeaderFilter | None = None
    """Changes to headers of answers."""
    url_rewrite: UrlRewrite | None = None
    """Changes to the URL of requests."""
    extension_ref: ExtensionRef | None = None
    """A filter of the gateway's own."""


class Timeouts(Wire):
    """Time limits that the gateway keeps."""

    rules = (
        Rule(
            cel="!(has(self.request) && has(self.backendRequest)) || duration(self.request) == duration('0s') || "
            "duration(self.backendRequest) <= duration(self.request)",
            holds=lambda timeouts: (
                timeouts.request is None
                or timeouts.backend_request is None
                or seconds(timeouts.request) == 0
                or seconds(timeouts.backend_request) <= seconds(timeouts.request)
            ),
            message="backendRequest must not be longer than request",
            field="backendRequest",
        ),
    )
    request: Duration | None = None
    """For the whole answer to a client; 0s: none."""
    backend_request: Duration | None = None
    """For one try at the model."""


def _rewrites_prefix(gateway: "Gateway") -> bool:
    paths = [part.url_rewrite.path for part in gateway.filters or [] if part.url_rewrite is not None]
    return any(path is not None and path.type == "ReplacePrefixMatch" for path in paths)


def _one_prefix(gateway: "Gateway") -> bool:
    paths = [match.path for match in gateway.matches or []]
    return len(paths) == 1 and paths[0] is not None and paths[0].type == "PathPrefix"


_Hostname = Annotated[
    str,
    Text(
        pattern=r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        max_length=253,
        remedy="must be a host name in lower case such as fraud.example.com or *.example.com",
    ),
]

_ParentRefs = Annotated[
    list[ParentRef],
    Field(min_length=1, max_length=8),
    Rule(
        cel="self.all(p, self.exists_one(q, p.name == q.name && "
        "has(p.__namespace__) == has(q.__namespace__) && "
        "(!has(p.__namespace__) || p.__namespace__ == q.__namespace__) && "
        "(!has(p.sectionName) || !has(q.sectionName) || p.sectionName == q.sectionName)))",
        holds=lambda refs: all(sum(ref.overlaps(other) for other in refs) == 1 for ref in refs),
        message="names one Gateway twice: give each a sectionName of its own, or leave one out",
    ),
]

_Filters = Annotated[
    list[Filter],
    Field(max_length=16),
    Rule(
        cel="['RequestHeaderModifier', 'ResponseHeaderModifier', 'URLRewrite'].all(t, "
        "self.filter(f, f.type == t).size() <= 1)",
        holds=lambda parts: all(
            sum(part.type == kind for part in parts) <= 1 for kind in _FILTERS if kind != "ExtensionRef"
        ),
        message="has two filters of one type: put their changes into one",
    ),
]


class Gateway(Wire):
    """An HTTPRoute of the Gateway API, created and owned by Tidegate under the object's name."""

    rules = (
        Rule(
            cel="!(has(self.filters) && self.filters.exists(f, has(f.urlRewrite) && has(f.urlRewrite.path) && "
            "f.urlRewrite.path.type == 'ReplacePrefixMatch')) || (has(self.matches) && size(self.matches) == 1 && "
            "has(self.matches[0].path) && self.matches[0].path.type == 'PathPrefix')",
            holds=lambda gateway: not _rewrites_prefix(gateway) or _one_prefix(gateway),
            message="ReplacePrefixMatch needs exactly one match, with a path of type PathPrefix",
            field="filters",
        ),
    )
    parent_refs: _ParentRefs
    """The Gateways that the route attaches to. Traffic moves only after each of them has confirmed it."""
    hostnames: list[_Hostname] | None = Field(default=None, max_length=16)
    """Host names that the model answers to; absent: those of the Gateway's listeners."""
    matches: list[Match] | None = Field(default=None, max_length=16)
    """Conditions on requests, one of which must hold; absent: all requests to the host names."""
    filters: _Filters | None = None
    """What the gateway does to requests and answers."""
    timeouts: Timeouts | None = None
    """Time limits that the gateway keeps."""


class Traffic(Wire):
    """How traffic gets to the model."""

    gateway: Gateway
    """By the Gateway API."""
