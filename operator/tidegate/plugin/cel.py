"""The Common Expression Language, as far as the rules of the CRD use it (cel-spec, and Kubernetes' list library).

A rule is compiled once into functions of its variables. What is not known here is refused at compile time, and a test
compiles every rule of the CRD: a rule that this reads otherwise than the API server can't slip in unnoticed.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from tidegate.plugin.calls import FUNCTIONS, METHODS, CelError, equal, less, truth

Scope = Mapping[str, Any]
Node = Callable[[Scope], Any]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>r?"(?:[^"\\]|\\.)*"|r?'(?:[^'\\]|\\.)*')
    | (?P<number>[0-9]+(?:\.[0-9]+)?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]])
    )""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_WORDS = {"true": True, "false": False, "null": None}


class Unsupported(ValueError):  # noqa: N818 (of the language, not of a value)
    """A rule uses what is not built here."""


@lru_cache(maxsize=512)
def compiled(rule: str) -> Node:
    """A rule as a function of its variables; it raises `CelError` where CEL has no value.

    Raises:
        Unsupported: the rule is none, or uses what is not built here.
    """
    parser = _Parser(rule)
    node = parser.ternary()
    parser.end()
    return node


class _Parser:
    """Recursive descent, one method for each level of precedence, the weakest first."""

    def __init__(self, rule: str) -> None:
        self._rule = rule
        self._tokens = list(self._scan(rule))
        self._at = 0

    def _scan(self, rule: str) -> list[tuple[str, str]]:
        tokens, at = [], 0
        end = len(rule.rstrip())
        while at < end:
            match = _TOKEN.match(rule, at)
            if match is None or match.lastgroup is None:
                raise Unsupported(f"at {rule[at : at + 20]!r} in {rule!r}")
            tokens.append((match.lastgroup, match[match.lastgroup]))
            at = match.end()
        return tokens

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def _take(self, *signs: str) -> str | None:
        kind, value = self._peek()
        if value not in signs or kind == "text":
            return None
        self._at += 1
        return value

    def _need(self, sign: str) -> None:
        if self._take(sign) is None:
            raise Unsupported(f"{sign!r} is missing before {self._peek()[1]!r} in {self._rule!r}")

    def end(self) -> None:
        if self._peek()[0] != "end":
            raise Unsupported(f"{self._peek()[1]!r} is too much in {self._rule!r}")

    def ternary(self) -> Node:
        condition = self._or()
        if not self._take("?"):
            return condition
        first = self._or()
        self._need(":")
        second = self.ternary()
        return lambda scope: first(scope) if truth(condition(scope)) else second(scope)

    def _or(self) -> Node:
        parts = [self._and()]
        while self._take("||"):
            parts.append(self._and())
        return _joined(parts, decisive=True) if len(parts) > 1 else parts[0]

    def _and(self) -> Node:
        parts = [self._relation()]
        while self._take("&&"):
            parts.append(self._relation())
        return _joined(parts, decisive=False) if len(parts) > 1 else parts[0]

    def _relation(self) -> Node:
        left = self._sum()
        sign = self._take("==", "!=", "<=", ">=", "<", ">", "in")
        if sign is None:
            return left
        right = self._sum()
        compare = _RELATIONS[sign]
        return lambda scope: compare(left(scope), right(scope))

    def _sum(self) -> Node:
        left = self._product()
        while sign := self._take("+", "-"):
            left = _arithmetic(sign, left, self._product())
        return left

    def _product(self) -> Node:
        left = self._unary()
        while sign := self._take("*"):
            left = _arithmetic(sign, left, self._unary())
        return left

    def _unary(self) -> Node:
        if self._take("!"):
            inner = self._unary()
            return lambda scope: not truth(inner(scope))
        if self._take("-"):
            inner = self._unary()
            return lambda scope: -inner(scope)
        return self._member()

    def _member(self) -> Node:
        node = self._primary()
        while sign := self._take(".", "["):
            if sign == "[":
                index = self.ternary()
                self._need("]")
                node = _indexed(node, index)
                continue
            kind, name = self._next()
            if kind != "name":
                raise Unsupported(f"{name!r} is no field in {self._rule!r}")
            node = self._call(node, name) if self._take("(") else _selected(node, _unescaped(name))
        return node

    def _call(self, target: Node, name: str) -> Node:
        if name in _MACROS:
            kind, variable = self._next()
            if kind != "name":
                raise Unsupported(f"{variable!r} is no variable in {self._rule!r}")
            self._need(",")
            body = self.ternary()
            self._need(")")
            return _macro(name, target, variable, body)
        arguments = self._arguments(")")
        method = METHODS.get(name)
        if method is None:
            raise Unsupported(f"the function {name} in {self._rule!r}")
        return lambda scope: method(target(scope), *(argument(scope) for argument in arguments))

    def _primary(self) -> Node:
        kind, value = self._next()
        match kind, value:
            case "text", _:
                text = _literal(value)
                return lambda _scope: text
            case "number", _:
                number = float(value) if "." in value else int(value)
                return lambda _scope: number
            case "sign", "(":
                inner = self.ternary()
                self._need(")")
                return inner
            case "sign", "[":
                parts = self._arguments("]")
                return lambda scope: [part(scope) for part in parts]
            case "name", _ if value in _WORDS:
                constant = _WORDS[value]
                return lambda _scope: constant
            case "name", _:
                return self._global(value) if self._take("(") else _variable(value)
        raise Unsupported(f"{value!r} in {self._rule!r}")

    def _global(self, name: str) -> Node:
        if name == "has":
            return self._has()
        arguments = self._arguments(")")
        function = FUNCTIONS.get(name)
        if function is None:
            raise Unsupported(f"the function {name} in {self._rule!r}")
        return lambda scope: function(*(argument(scope) for argument in arguments))

    def _has(self) -> Node:
        node = self.ternary()
        self._need(")")
        held = getattr(node, "held", None)
        if held is None:
            raise Unsupported(f"has() of what is no field in {self._rule!r}")
        present: Node = held
        return present

    def _arguments(self, closing: str) -> list[Node]:
        found: list[Node] = []
        while not self._take(closing):
            if found:
                self._need(",")
            found.append(self.ternary())
        return found


def _joined(parts: list[Node], *, decisive: bool) -> Node:
    """`&&` and `||`: in any order; one part that decides outweighs another that has no value."""

    def node(scope: Scope) -> bool:
        failure: CelError | None = None
        for part in parts:
            try:
                if truth(part(scope)) is decisive:
                    return decisive
            except CelError as error:
                failure = error
        if failure is not None:
            raise failure
        return not decisive

    return node


def _variable(name: str) -> Node:
    def node(scope: Scope) -> Any:
        if name not in scope:
            raise CelError(f"no variable {name}")
        return scope[name]

    return node


def _selected(target: Node, field: str) -> Node:
    def held(scope: Scope) -> bool:
        value = target(scope)
        if not isinstance(value, Mapping):
            raise CelError(f"{field} of what has no fields")
        return field in value

    def node(scope: Scope) -> Any:
        if not held(scope):
            raise CelError(f"no such key: {field}")
        return target(scope)[field]

    node.held = held  # type: ignore[attr-defined]
    return node


def _indexed(target: Node, index: Node) -> Node:
    def node(scope: Scope) -> Any:
        try:
            place = index(scope)
            if isinstance(place, int) and place < 0:
                raise CelError("index out of bounds")
            return target(scope)[place]
        except (IndexError, KeyError, TypeError) as error:
            raise CelError("no such element") from error

    return node


def _macro(name: str, target: Node, variable: str, body: Node) -> Node:
    def node(scope: Scope) -> Any:
        elements = target(scope)
        if not isinstance(elements, list | Mapping):
            raise CelError(f"{name} of what has no elements")
        return _MACROS[name]([(element, _bound(body, scope, variable, element)) for element in elements])

    return node


def _bound(body: Node, scope: Scope, variable: str, element: Any) -> Callable[[], Any]:
    return lambda: body({**scope, variable: element})


_Elements = list[tuple[Any, Callable[[], Any]]]


def _all(elements: _Elements) -> bool:
    return bool(_joined([lambda _s, e=each: e() for _, each in elements], decisive=False)({}))  # type: ignore[misc]


def _exists(elements: _Elements) -> bool:
    return bool(_joined([lambda _s, e=each: e() for _, each in elements], decisive=True)({}))  # type: ignore[misc]


_MACROS: Mapping[str, Callable[[_Elements], Any]] = {
    "all": _all,
    "exists": _exists,
    "exists_one": lambda elements: sum(truth(each()) for _, each in elements) == 1,
    "filter": lambda elements: [element for element, each in elements if truth(each())],
    "map": lambda elements: [each() for _, each in elements],
}
_RELATIONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": equal,
    "!=": lambda left, right: not equal(left, right),
    "<": less,
    ">": lambda left, right: less(right, left),
    "<=": lambda left, right: not less(right, left),
    ">=": lambda left, right: not less(left, right),
    "in": lambda left, right: any(equal(left, element) for element in right),
}


def _arithmetic(sign: str, left: Node, right: Node) -> Node:
    def node(scope: Scope) -> Any:
        first, second = left(scope), right(scope)
        try:
            return first + second if sign == "+" else first - second if sign == "-" else first * second
        except TypeError as error:
            raise CelError(f"no such overload: {sign}") from error

    return node


def _literal(token: str) -> str:
    if token.startswith("r"):
        return token[2:-1]
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), token[1:-1], flags=re.DOTALL)


def _unescaped(name: str) -> str:
    """CEL's own words are fields, too: `__namespace__` is `namespace` (Kubernetes, "Escaping")."""
    return name[2:-2] if name.startswith("__") and name.endswith("__") else name
