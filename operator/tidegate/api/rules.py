"""Rules of the wire format, each said once: as CEL for the API server and as Python for the operator.

The API server refuses a wrong object before anybody acts on it. The operator checks the same again, because an object
may be older than the rules of the CRD that now holds it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

#: The key under which a Kubernetes schema keeps its CEL rules.
VALIDATIONS = "x-kubernetes-validations"
#: The key under which a schema keeps what to write instead of a wrong text. The plugin's has it, the CRD has not.
REMEDY = "x-remedy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule over a value: `cel` and `holds` mean the same; `field` is the path below the value that gets the blame.

    Used in a model's `rules`, or as metadata of an `Annotated` type. `message` names the way out.
    """

    cel: str
    holds: Callable[[Any], bool]
    message: str
    field: str = ""

    def wire(self) -> dict[str, str]:
        """The rule as the CRD carries it."""
        rule = {"rule": self.cel, "message": self.message}
        return rule | ({"fieldPath": f".{self.field}"} if self.field else {})

    def check(self, value: Any) -> Any:
        """Return the value or raise what is wrong with it."""
        require((self,), value)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return with_rules(handler(schema), (self,))


def require(rules: tuple[Rule, ...], value: Any) -> None:
    """Raise one error that carries the findings of all rules that do not hold for a value."""
    findings = [(rule.field, rule.message) for rule in rules if not rule.holds(value)]
    if findings:
        text = "; ".join(message for _, message in findings)
        raise PydanticCustomError("rule", "{text}", {"text": text, "findings": findings})


def with_rules(schema: Mapping[str, Any], rules: tuple[Rule, ...]) -> dict[str, Any]:
    """Return a JSON schema with CEL rules added to those that it has."""
    wired = [*schema.get(VALIDATIONS, []), *(rule.wire() for rule in rules)]
    return dict(schema) | ({VALIDATIONS: wired} if wired else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Metadata of a string type: what it must look like, and what to write instead (`remedy`).

    Patterns use the syntax that RE2 (API server) and Rust's regex (pydantic) share.
    """

    pattern: str
    max_length: int
    remedy: str
    min_length: int = 1

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema(pattern=self.pattern, min_length=self.min_length, max_length=self.max_length)
        return core_schema.custom_error_schema(text, "text", custom_error_message=self.remedy)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(schema) | {REMEDY: self.remedy}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique:
    """Metadata of a list type: no two of its elements may be equal, or equal in `key` where they are objects."""

    key: str = ""

    def check(self, value: list[Any]) -> list[Any]:
        """Return the list or raise which of its elements repeat an earlier one."""
        names = [getattr(element, self.key) if self.key else element for element in value]
        message = f"repeats the {self.key or 'value'} of an earlier one: leave it out"
        findings = [(f"[{at}]", message) for at, name in enumerate(names) if name in names[:at]]
        if findings:
            raise PydanticCustomError("rule", "{text}", {"text": message, "findings": findings})
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        kind = {"x-kubernetes-list-type": "map" if self.key else "set"}
        return handler(schema) | kind | ({"x-kubernetes-list-map-keys": [self.key]} if self.key else {})


class Wire(BaseModel):
    """Base of all parts of a spec: camelCase, nothing unknown, nothing coerced, docstrings are descriptions."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _rules_hold(self) -> Self:
        require(self.rules, self)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        ref = handler(schema)
        resolved = handler.resolve_ref_schema(ref)
        resolved.update(with_rules(resolved, cls.rules))
        return ref


class Open(Wire):
    """Base of parts of which only some fields are Tidegate's business; the others are kept as they are."""

    model_config = ConfigDict(extra="allow")
