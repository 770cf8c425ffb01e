"""Rules as the API server reads them."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tidegate.api import crd
from tidegate.plugin import patterns
from tidegate.plugin.calls import CelError
from tidegate.plugin.cel import Unsupported, compiled
from tidegate.plugin.schema import check


def rules(schema: Mapping[str, Any]) -> Iterator[str]:
    yield from (rule["rule"] for rule in schema.get("x-kubernetes-validations", []))
    for part in (*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")):
        if isinstance(part, Mapping):
            yield from rules(part)


@pytest.mark.parametrize("rule", sorted(set(rules(crd.render_schema()))))
def test_every_rule_of_the_crd_is_understood(rule: str) -> None:
    compiled(rule)


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("1 + 2 * 3 - 4 == 3", True),
        ("-1 < 0 && 0 <= 0 && 2 > 1 && 2 >= 2 && 1 != 2", True),
        ("false ? 1 : true ? 2 : 3", 2),
        ("!(true && false) || false", True),
        ("'a' + \"b\" == 'ab'", True),
        (r"'\'\\' == r'\'' + '\\'", False),
        ("1 == 1.0", True),
        ("true == 1", False),
        ("'1' == 1", False),
        ("null == null", True),
        ("2 in [1, 2]", True),
        ("self.list[1]", 5),
        ("self.__namespace__", "ml"),
        ("has(self.list) && !has(self.other)", True),
        ("self.list.all(x, x > 1)", True),
        ("self.list.exists(x, x == 5)", True),
        ("self.list.exists_one(x, x > 3)", False),
        ("self.list.filter(x, x > 3).size()", 2),
        ("self.list.map(x, x * 2).sum()", 24),
        ("self.map.all(key, key.startsWith('a'))", True),
        ("[1, 2, 2].isSorted() && ![2, 1].isSorted() && [].isSorted()", True),
        ("duration('1h30m') == duration('90m') && duration('1500ms') > duration('1s')", True),
        ("duration('-1s') < duration('0')", True),
        ("[duration('1s'), duration('2s')].sum() == duration('3s')", True),
        ("double('1.5') >= 1.0 && int('7') == 7 && string(7) == '7'", True),
        ("size('äö') == 2 && size({}) == 0", None),
        ("'abc'.contains('b') && 'abc'.endsWith('c') && 'aXb'.lowerAscii() == 'axb' && 'ß'.upperAscii() == 'ß'", True),
        ("' a '.trim() == 'a' && 'a,b'.split(',').join('-') == 'a-b' && [3, 1].min() == 1 && [3, 1].max() == 3", True),
        ("'xabcx'.matches('abc') && !'abc\\n'.matches('^abc$')", True),
    ],
)
def test_an_expression_has_the_value_that_cel_gives_it(rule: str, value: Any) -> None:
    if value is None:
        with pytest.raises(Unsupported):
            compiled(rule)
        return
    scope = {"self": {"list": [3, 5, 4], "map": {"a": 1, "ab": 2}, "namespace": "ml"}}
    assert compiled(rule)(scope) == value


@pytest.mark.parametrize(
    "rule",
    [
        "self.missing == 1",
        "self.list[9]",
        "self.list[-1]",
        "other",
        "self.list < 1",
        "'a' < 1",
        "1 + 'a'",
        "duration('soon')",
        "duration('99999999h')",
        "double('NaN') > 1.0",
        "double('1_0') > 1.0",
        "int('x') > 1",
        "size(1)",
        "'a' && true",
        "'a'.sum()",
        "self.list.contains('a')",
        "self.map.a.all(x, true)",
    ],
)
def test_what_has_no_value_is_an_error(rule: str) -> None:
    with pytest.raises(CelError):
        compiled(rule)({"self": {"list": [1], "map": {"a": 1}}})


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("self.missing == 1 || true", True),
        ("true || self.missing == 1", True),
        ("self.missing == 1 && false", False),
        ("['x', '1s'].exists(d, duration(d) == duration('1s'))", True),
        ("['x', '1s'].all(d, duration(d) == duration('2s'))", False),
    ],
)
def test_a_part_that_decides_outweighs_one_without_a_value(rule: str, value: bool) -> None:
    assert compiled(rule)({"self": {}}) is value


@pytest.mark.parametrize(
    "rule", ["self.a.", "foo(1)", "self.foo(1)", "(1", "1 2", "has(1)", "[1", "self.all(1, x)", "@"]
)
def test_what_is_not_built_is_refused_before_it_is_asked(rule: str) -> None:
    with pytest.raises(Unsupported):
        compiled(rule)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"^[\p{L}\p{N}_\-]+$", "prüfling_2-b", True),
        (r"^[\p{L}]+$", "a1", False),
        (r"^[\p{L}]+$", "1", False),
        (r"^\p{L}$", "ß", True),
        (r"^[^/\p{Z}]+$", "a\u2003b", False),
        (r"^[^/\p{Z}]+$", "ab", True),
        (r"^a$", "a\n", False),
        (r"^[a$]+$", "a$", True),
        (r"^[]a]+$", "]a", True),
        (r"^[[a]+$", "[a", True),
        (r"^a\$\z", "a$", True),
        (r"^\d$", "٣", False),
    ],
)
def test_patterns_are_those_of_the_api_server(pattern: str, text: str, found: bool) -> None:
    assert patterns.found(pattern, text) is found


def test_a_rule_without_a_value_is_said_with_its_message() -> None:
    schema = {
        "type": "string",
        "x-kubernetes-validations": [{"rule": "duration(self) > duration('1s')", "message": "m"}],
    }
    (finding,) = check(schema, "soon", "spec.x")
    assert (finding.path, finding.message.startswith("m (")) == ("spec.x", True)


def test_a_rule_about_changes_is_not_asked_of_a_manifest() -> None:
    schema = {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "immutable"}]}
    assert check(schema, "a", "spec.x") == []
