"""Reads the filter language: KQL's `field: value`, comparisons, `and`, `or`, `not`, parentheses, and what fingers
used to other languages type (`==`, `!=`, `&&`, `||`, `!`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import cast

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken, v_args
from lark.exceptions import VisitError

from ringfence.errors import FilterInvalid
from ringfence.model.filter import And, Comparison, Filter, Not, Or, Term
from ringfence.store.addresses import parse_network
from ringfence.store.filter.conditions import resolve
from ringfence.store.filter.fields import Finder, find_field
from ringfence.store.filter.pattern import has_wildcard, literal, quote

MAX_CHARACTERS = 4096
MAX_DEPTH = 24
"""Elasticsearch takes queries nested 30 deep; the window is one level, a network at either end asks for two more."""
MAX_TERMS = 300

GRAMMAR = r"""
start: any
?any: all (_OR all)*
?all: item (_AND item)*
?item: _NOT item                                -> negation
     | "(" any ")"                              -> group
     | FIELD _IS value                          -> equal
     | FIELD _IS_NOT value                      -> unequal
     | FIELD COMPARE (WORD | STRING)            -> compare
     | (ADDRESS | BARE | STRING)                -> bare

?value: (WORD | STRING)                         -> single
      | "(" any_value ")"
?any_value: all_values (_OR all_values)*        -> either
?all_values: one_value (_AND one_value)*        -> both
?one_value: _NOT one_value                      -> negation
          | (WORD | STRING)                     -> single
          | "(" any_value ")"

FIELD.4: /(?:[A-Za-z@_]|\\.)(?:[A-Za-z0-9_.@\/-]|\\.)*(?=\s*(?::|==|!=|<=|>=|<|>))/
ADDRESS.5: /[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.\d+){0,3}(?:\/\d+)?(?![\w:])/
_IS.3: "==" | ":"
_IS_NOT.3: "!="
COMPARE.3: ">=" | "<=" | ">" | "<"
_NOT.3: /not(?=[\s(]|$)|!/i
_AND.3: /and(?=[\s(!]|$)|&&/i
_OR.3: /or(?=[\s(!]|$)|\|\|/i
STRING: /"(?:[^"\\]|\\.)*"/s
WORD: /(?:(?!&&|\|\|)[^\s()"\\<>]|\\.)+/s
BARE: /(?:(?!&&|\|\|)[^\s()"\\<>:=!]|\\.)+/s
%ignore /\s+/
"""

EXPECTED = {
    "FIELD": "field",
    "ADDRESS": "address",
    "BARE": "word",
    "WORD": "value",
    "STRING": '"text"',
    "_IS": ":",
    "COMPARE": ">=",
    "_NOT": "not",
    "_AND": "and",
    "_OR": "or",
    "LPAR": "(",
    "RPAR": ")",
    "$END": "the end",
}
"""Grammar terminals as a person would write them."""


def parse_filter(text: str, find: Finder = find_field) -> Filter | None:
    """The syntax tree; None for an empty text, which selects everything. `find` says which fields there are.

    Raises:
        FilterInvalid: `offset` is the character where reading stopped, the start of an unknown field's name, or the
            start of a value of another type; `expected` is what could have stood there.
    """
    if not text.strip():
        return None
    if len(text) > MAX_CHARACTERS:
        raise FilterInvalid(f"a filter has at most {MAX_CHARACTERS} characters", offset=MAX_CHARACTERS)
    half = next((place for place, character in enumerate(text) if "\ud800" <= character <= "\udfff"), None)
    if half is not None:
        raise FilterInvalid("half a character (a lone surrogate) is no text", offset=half)
    try:
        tree = cast(Filter, _grammar(find).parse(text))
    except VisitError as error:
        raise error.orig_exc from None
    except UnexpectedInput as error:
        raise _unreadable(text, error) from None
    _check_size(tree)
    return tree


@cache
def _grammar(find: Finder) -> Lark:
    return Lark(GRAMMAR, parser="lalr", lexer="contextual", transformer=_Build(find))


@dataclass(frozen=True, slots=True)
class _Value:
    """A value as written: its pattern, and where it began."""

    pattern: str
    offset: int


@dataclass(frozen=True, slots=True)
class _Values:
    """Several values for one field."""

    word: type[And] | type[Or]
    operands: tuple[_Parsed, ...]


@dataclass(frozen=True, slots=True)
class _NotValue:
    operand: _Parsed


_Parsed = _Value | _Values | _NotValue


@v_args(inline=True)
class _Build(Transformer):  # type: ignore[type-arg]
    """Builds the tree while reading. Values are joined with their field as soon as both are known."""

    def __init__(self, find: Finder) -> None:
        super().__init__()
        self._find = find

    def start(self, tree: Filter) -> Filter:
        return tree

    def any(self, *operands: Filter) -> Filter:
        return _joined(Or, operands)

    def all(self, *operands: Filter) -> Filter:
        return _joined(And, operands)

    def group(self, tree: Filter) -> Filter:
        return tree

    def negation(self, operand: Filter | _Parsed) -> Filter | _Parsed:
        if isinstance(operand, (_Value, _Values, _NotValue)):
            return operand.operand if isinstance(operand, _NotValue) else _NotValue(operand)
        return operand.operand if isinstance(operand, Not) else Not(operand=operand)

    def single(self, token: Token) -> _Value:
        return _Value(_pattern(token), _offset(token))

    def either(self, *operands: _Parsed) -> _Parsed:
        return operands[0] if len(operands) == 1 else _Values(Or, operands)

    def both(self, *operands: _Parsed) -> _Parsed:
        return operands[0] if len(operands) == 1 else _Values(And, operands)

    def equal(self, field: Token, value: _Parsed) -> Filter:
        return self._with_field(field, value)

    def unequal(self, field: Token, value: _Parsed) -> Filter:
        return Not(operand=self._with_field(field, value))

    def compare(self, field: Token, operator: Token, value: Token) -> Filter:
        return self._term(field, Comparison(str(operator)), _pattern(value), _offset(value))

    def bare(self, token: Token) -> Filter:
        """A word alone: part of a workload's name, or an address or network of either end."""
        pattern, offset = _pattern(token), _offset(token)
        name = pattern if has_wildcard(pattern) else f"*{pattern}*"
        fields = ("source.workload.name", "destination.workload.name")
        terms = [Term(field=field, comparison=Comparison.EQUALS, value=name, offset=offset) for field in fields]
        for term in terms:
            resolve(term, offset, self._find)
        try:
            parse_network(literal(pattern))
        except ValueError:
            pass
        else:
            terms.append(Term(field="ip", comparison=Comparison.EQUALS, value=pattern, offset=offset))
        return Or(operands=tuple(terms))

    def _with_field(self, field: Token, value: _Parsed) -> Filter:
        match value:
            case _Value(pattern=pattern, offset=offset):
                exists = pattern == "*"
                return self._term(field, Comparison.EXISTS if exists else Comparison.EQUALS, pattern, offset)
            case _NotValue(operand=operand):
                return Not(operand=self._with_field(field, operand))
            case _Values(word=word, operands=operands):
                return word(operands=tuple(self._with_field(field, operand) for operand in operands))

    def _term(self, field: Token, comparison: Comparison, pattern: str, value_offset: int) -> Term:
        name = literal(_plain(str(field)))
        term = Term(field=name, comparison=comparison, value=pattern, offset=_offset(field))
        resolve(term, value_offset, self._find)
        return term


def _joined(word: type[And] | type[Or], operands: tuple[Filter, ...]) -> Filter:
    return operands[0] if len(operands) == 1 else word(operands=operands)


def _offset(token: Token) -> int:
    return token.start_pos or 0


def _pattern(token: Token) -> str:
    """In a quoted text nothing is a wildcard; elsewhere a backslash takes a character's meaning away."""
    text = str(token)
    return _escapes(text[1:-1], quote) if token.type == "STRING" else _plain(text)


def _plain(text: str) -> str:
    """Only `*` and the backslash need an escape in a pattern; others lose theirs."""
    return _escapes(text, lambda character: character)


def _escapes(text: str, unescaped: Callable[[str], str]) -> str:
    result, characters = [], iter(text)
    for character in characters:
        if character == "\\":
            result.append(quote(next(characters, "\\")))
        else:
            result.append(unescaped(character))
    return "".join(result)


def _unreadable(text: str, error: UnexpectedInput) -> FilterInvalid:
    names: set[str] = set()
    if isinstance(error, UnexpectedToken):
        names = set(error.accepts or error.expected)
        if names & {"$END", "RPAR"}:
            names |= {"_AND", "_OR"}
    elif isinstance(error, UnexpectedCharacters):
        names = set(error.allowed or ())
    expected = sorted({EXPECTED[name] for name in names if name in EXPECTED})
    at_end = isinstance(error, UnexpectedToken) and error.token.type == "$END"
    offset = len(text) if at_end else error.pos_in_stream or 0
    rest = text[offset : offset + 20].split()
    found = repr(rest[0]) if rest else "the end"
    return FilterInvalid(f"{found} cannot stand here", offset=offset, expected=expected)


def _check_size(tree: Filter) -> None:
    """Deeper or larger trees are written by no person, and backends refuse them at other places."""
    level, terms, depth = [tree], 0, 0
    while level:
        depth += 1
        terms += sum(isinstance(node, Term) for node in level)
        if depth > MAX_DEPTH or terms > MAX_TERMS:
            raise FilterInvalid(f"a filter has at most {MAX_TERMS} terms, nested {MAX_DEPTH} deep", offset=0)
        level = [child for node in level for child in _children(node)]


def _children(node: Filter) -> tuple[Filter, ...]:
    match node:
        case Not(operand=operand):
            return (operand,)
        case And(operands=operands) | Or(operands=operands):
            return operands
        case _:
            return ()
