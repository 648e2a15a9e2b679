"""The conditions language: `board/name = "Help Desk" and (closedFlag = false or lastUpdated > [2026-01-01])`.

Text becomes a predicate once and is cached. AND binds before OR. Comparisons with an empty field are
false, as in SQL; `field = null` asks for emptiness. Text compares without case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from psa.providers.connectwise.reference import JsonObject
from psa.providers.connectwise.sandbox import errors
from psa.providers.connectwise.sandbox.fields import Field, Getter, filterable, find_field

Predicate = Callable[[JsonObject], bool]
Finder = Callable[[str], Field]

TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    | \[(?P<moment>[^\]]*)\]
    | (?P<operator>!=|<=|>=|=|<|>)
    | (?P<number>-?\d+(?:\.\d+)?)(?![\w/])
    | (?P<word>[A-Za-z_][\w]*(?:/[\w]+)*)
    | (?P<mark>[(),])
    )""",
    re.VERBOSE,
)

MOMENT = re.compile(
    r"^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d)(\.\d{1,7})?\s*(Z|[+-]\d\d:?\d\d)?)?$", re.IGNORECASE
)

KINDS = {"boolean": "True/False", "string": "String", "date": "DateTime", "integer": "Integer"}
"""How a kind of field is called in messages."""


class Token(NamedTuple):
    kind: str
    text: str


class Null:
    """The literal null."""


class Moment(str):
    """A bracketed date as comparable text: 2026-01-31T08:30:00 with or without a fraction."""


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    end = len(text.rstrip())
    while at < end:
        match = TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise errors.bad_condition(f"Unexpected text near {text[at : at + 20].strip()!r}.")
        tokens.append(Token(match.lastgroup, match.group(match.lastgroup)))
        at = match.end()
    return tokens


def parse_moment(text: str) -> Moment:
    """Take date only, date and time, a fraction and an offset; the API's own form is `…Z`."""
    match = MOMENT.match(text.strip())
    if match is None:
        raise errors.bad_condition(f"[{text}] is not a date.")
    day, time, fraction, zone = match.groups()
    written = f"{day}T{time or '00:00:00'}"
    offset = "+00:00" if not zone or zone in "Zz" else zone
    try:
        moment = datetime.fromisoformat(written + offset).astimezone(UTC)
    except ValueError as exc:
        raise errors.bad_condition(f"[{text}] is not a date.") from exc
    return Moment(moment.strftime("%Y-%m-%dT%H:%M:%S") + (fraction or "").rstrip("0").rstrip("."))


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def like_pattern(text: str) -> re.Pattern[str]:
    """`*` and `%` stand for any text, `[[]` for a bracket."""
    parts = re.split(r"([*%]|\[\[\])", text)
    body = "".join(
        ".*" if part in ("*", "%") else re.escape("[" if part == "[[]" else part) for part in parts
    )
    return re.compile(f"^{body}$", re.IGNORECASE | re.DOTALL)


class Parser:
    """Recursive descent over the tokens; builds closures instead of a tree."""

    def __init__(
        self,
        text: str,
        find: Finder,
        virtual: Mapping[str, Getter] | None = None,
        *,
        allow_in: bool = True,
    ) -> None:
        self.tokens = _tokens(text)
        self.at = 0
        self.find = find
        self.virtual = virtual or {}
        self.allow_in = allow_in
        self.fields: list[Field] = []
        self._virtual_uses = 0

    def parse(self) -> Predicate:
        predicate = self._or()
        if self.at < len(self.tokens):
            raise errors.bad_condition(f"Unexpected {self.tokens[self.at].text!r}.")
        return predicate

    def _or(self) -> Predicate:
        terms = [self._and()]
        while self._take_word("or"):
            terms.append(self._and())
        if len(terms) == 1:
            return terms[0]
        if self._virtual_uses > 1:
            raise errors.bad_condition("configuration/id cannot be combined by or.")
        return lambda data: any(term(data) for term in terms)

    def _and(self) -> Predicate:
        terms = [self._term()]
        while self._take_word("and"):
            terms.append(self._term())
        return terms[0] if len(terms) == 1 else lambda data: all(term(data) for term in terms)

    def _term(self) -> Predicate:
        if self._take_word("not"):
            inner = self._term()
            return lambda data: not inner(data)
        if self._take_mark("("):
            inner = self._or()
            if not self._take_mark(")"):
                raise errors.bad_condition("A closing parenthesis is missing.")
            return inner
        return self._comparison()

    def _comparison(self) -> Predicate:
        token = self._next("word")
        getter = self.virtual.get(token.text.lower())
        if getter is not None:
            self._virtual_uses += 1
            return self._membership(getter)
        field = self.find(token.text)
        self.fields.append(field)
        get = field.getter()
        negated = self._take_word("not")
        for word, build in (("contains", self._contains), ("like", self._like), ("in", self._in)):
            if self._take_word(word):
                test = build(field)
                if negated:
                    return lambda data: (v := get(data)) is not None and not test(v)
                return lambda data: (v := get(data)) is not None and test(v)
        if negated:
            raise errors.bad_condition("not is followed by contains, like or in.")
        return self._compare(field, get, self._next("operator").text)

    def _membership(self, getter: Getter) -> Predicate:
        if self._next("operator").text != "=":
            raise errors.bad_condition("configuration/id takes = only.")
        wanted = int(self._next("number").text)
        return lambda data: wanted in getter(data)

    def _compare(self, field: Field, get: Getter, operator: str) -> Predicate:
        value = self._value(field, listed=operator in ("=", "!="))
        if value is Null:
            if operator not in ("=", "!="):
                raise errors.bad_condition(f"{field.text} cannot be compared with null by {operator}.")
            empty = operator == "="
            return lambda data: (get(data) in (None, "", [])) is empty
        if field.kind == "boolean" and operator not in ("=", "!="):
            raise errors.bad_condition(f"{field.text} is True/False; {operator} does not apply.")
        fold = _folding(value)
        tests: dict[str, Callable[[Any], bool]] = {
            "=": lambda v: bool(v == value),
            "!=": lambda v: bool(v != value),
            "<": lambda v: bool(v < value),
            "<=": lambda v: bool(v <= value),
            ">": lambda v: bool(v > value),
            ">=": lambda v: bool(v >= value),
        }
        test = tests[operator]

        def compare(data: JsonObject) -> bool:
            found = get(data)
            return found is not None and test(fold(found))

        return compare

    def _contains(self, field: Field) -> Callable[[Any], bool]:
        wanted = self._text(field, "contains").lower()
        return lambda value: wanted in str(value).lower()

    def _like(self, field: Field) -> Callable[[Any], bool]:
        pattern = like_pattern(self._text(field, "like"))
        return lambda value: pattern.match(str(value)) is not None

    def _in(self, field: Field) -> Callable[[Any], bool]:
        if not self.allow_in:
            raise errors.bad_condition("in is not available here.")
        if not self._take_mark("("):
            raise errors.bad_condition("in is followed by a list in parentheses.")
        values: set[Any] = set()
        fold: Callable[[Any], Any] = _same
        while True:
            value = self._value(field, listed=True)
            fold = _folding(value)
            values.add(value)
            if self._take_mark(")"):
                return lambda found: fold(found) in values
            if not self._take_mark(","):
                raise errors.bad_condition("The values of in are separated by commas.")

    def _text(self, field: Field, operator: str) -> str:
        if field.kind not in ("string", "any"):
            raise errors.bad_condition(f"{field.text} is no text; {operator} does not apply.")
        return _unquote(self._next("string").text)

    def _value(self, field: Field, *, listed: bool) -> Any:
        token = self._next()
        value, got = _literal(token)
        if value is Null:
            return value
        fits = {
            "integer": got in ("Integer", "Decimal"),
            "number": got in ("Integer", "Decimal"),
            "boolean": got == "True/False",
            "date": got == "DateTime",
            "string": got in ("String", "DateTime"),
            "any": True,
        }
        if not fits.get(field.kind, False):
            expected = KINDS.get(field.kind, field.kind)
            raise errors.bad_condition(
                f"{field.text} expects a value of type {expected} but got {got}: {token.text}. "
                "Text stands in quotes, dates in [brackets], numbers and True/False bare."
            )
        if listed and field.enum is not None and str(value).lower() not in field.enum:
            raise errors.bad_condition(f"{token.text} is not one of the values of {field.text}.")
        return value

    def _next(self, kind: str | None = None) -> Token:
        if self.at >= len(self.tokens):
            raise errors.bad_condition("The condition ends too early.")
        token = self.tokens[self.at]
        if kind is not None and token.kind != kind:
            raise errors.bad_condition(f"Unexpected {token.text!r}, a {kind} was expected.")
        self.at += 1
        return token

    def _take_word(self, word: str) -> bool:
        return self._take("word", word)

    def _take_mark(self, mark: str) -> bool:
        return self._take("mark", mark)

    def _take(self, kind: str, text: str) -> bool:
        if self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.kind == kind and token.text.lower() == text:
                self.at += 1
                return True
        return False


def _literal(token: Token) -> tuple[Any, str]:
    if token.kind == "string":
        return _unquote(token.text).lower(), "String"
    if token.kind == "moment":
        return parse_moment(token.text), "DateTime"
    if token.kind == "number":
        decimal = "." in token.text
        return (float(token.text), "Decimal") if decimal else (int(token.text), "Integer")
    word = token.text.lower()
    if word in ("true", "false"):
        return word == "true", "True/False"
    if word == "null":
        return Null, "null"
    raise errors.bad_condition(f"{token.text} is no value; text stands in quotes.")


def _same(value: Any) -> Any:
    return value


def _folding(value: Any) -> Callable[[Any], Any]:
    """How a stored value is brought into the form of the literal it is compared with."""
    if isinstance(value, Moment):
        return lambda found: str(found).rstrip("Zz")
    if isinstance(value, str):
        return lambda found: str(found).lower()
    return _same


@lru_cache(maxsize=2048)
def compile_conditions(schema_name: str, text: str) -> Predicate:
    """Predicate over records of a schema. Raises: ApiError 400 ApiFindCondition."""
    return Parser(text, lambda name: filterable(schema_name, name)).parse()


def compile_with(schema_name: str, text: str, virtual: Mapping[str, Getter]) -> Predicate:
    """As compile_conditions with extra names (lower case) whose getters give sets of ids."""
    if not any(name in text.lower() for name in virtual):
        return compile_conditions(schema_name, text)
    return Parser(text, lambda name: filterable(schema_name, name), virtual).parse()


@lru_cache(maxsize=512)
def compile_child_conditions(schema_name: str, text: str) -> Predicate:
    """Predicate over arrays inside a record: some element satisfies the whole expression."""
    roots: set[str] = set()

    def find(name: str) -> Field:
        head, _, rest = name.partition("/")
        array = find_field(schema_name, head)
        if array.kind != "array" or not rest or array.item_schema is None:
            raise errors.not_recognized(name)
        roots.add(array.path[0])
        return find_field(array.item_schema, rest)

    element = Parser(text, find, allow_in=False).parse()
    if len(roots) != 1:
        raise errors.bad_condition("childConditions look into one array at a time.")
    (root,) = roots
    return lambda data: any(element(item) for item in data.get(root) or ())


@lru_cache(maxsize=512)
def compile_custom_field_conditions(text: str) -> Predicate:
    """Predicate over customFields: some field satisfies `caption="…" and value …`."""
    element = Parser(text, lambda name: find_field("CustomFieldValue", name), allow_in=False).parse()
    return lambda data: any(element(item) for item in data.get("customFields") or ())
