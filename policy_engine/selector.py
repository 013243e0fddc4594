"""Calico's selector language: text in, a matcher over label mappings out.

Precedence, highest first: one comparison, parentheses, `!`, `&&`, `||`. A comparison with `!=` or `not in` holds where
the label is missing; every other comparison needs the label. The empty selector matches everything, as in Calico;
native policy refuses it before it comes here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedEOF, UnexpectedInput, v_args

from ringfence.errors import RingfenceError

Labels = Mapping[str, str]
Test = Callable[[Labels], bool]

MAX_LENGTH = 4096
MAX_DEPTH = 64
CACHE_SIZE = 65_536
"""More than the largest policy has: a smaller cache would be emptied by each walk over its selectors."""

GRAMMAR = r"""
start: or_expression?
or_expression: and_expression ("||" and_expression)*
and_expression: not_expression ("&&" not_expression)*
?not_expression: "!" not_expression -> negated
    | "(" or_expression ")"
    | "all" "(" ")" -> everything
    | "global" "(" ")" -> everything
    | "has" "(" LABEL ")" -> has
    | LABEL "==" STRING -> equals
    | LABEL "!=" STRING -> differs
    | LABEL "in" strings -> one_of
    | LABEL NOT_IN strings -> none_of
    | LABEL "contains" STRING -> contains
    | LABEL STARTS_WITH STRING -> starts_with
    | LABEL ENDS_WITH STRING -> ends_with
strings: "{" (STRING ("," STRING)* ","?)? "}"
NOT_IN.2: /not\s+in(?![A-Za-z0-9_.\/-])/
STARTS_WITH.2: /starts\s+with(?![A-Za-z0-9_.\/-])/
ENDS_WITH.2: /ends\s+with(?![A-Za-z0-9_.\/-])/
LABEL: /[A-Za-z0-9_.\/-]+/
STRING: /"[^"]*"/ | /'[^']*'/
%ignore /[ \t\r\n]+/
"""

EXPECTED_WORDS = {
    "LABEL": "a label name",
    "STRING": "a quoted value",
    "NOT_IN": "`not in`",
    "STARTS_WITH": "`starts with`",
    "ENDS_WITH": "`ends with`",
    "EQUAL": "`==`",
    "__ANON_0": "`||`",
    "__ANON_1": "`&&`",
    "__ANON_2": "`==`",
    "__ANON_3": "`!=`",
    "BANG": "`!`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "COMMA": "`,`",
    "$END": "the end",
}


class SelectorInvalid(RingfenceError):
    """A selector cannot be read; `offset` is the character where reading stopped."""

    def __init__(self, message: str, *, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class _Node:
    test: Test
    depth: int


@dataclass(frozen=True, slots=True)
class Matcher:
    """A compiled selector: `matcher(labels)` is True where it selects."""

    text: str
    test: Test

    def __call__(self, labels: Labels) -> bool:
        return self.test(labels)


class _Compiler(Transformer[Token, Any]):
    """Builds closures while the text is read; the LALR parser does not recurse, so depth is checked here."""

    @v_args(inline=True)
    def start(self, node: _Node | None = None) -> _Node:
        return node or _Node(lambda labels: True, 0)

    def or_expression(self, nodes: list[_Node]) -> _Node:
        if len(nodes) == 1:
            return nodes[0]
        tests = tuple(node.test for node in nodes)
        return _nested(lambda labels: any(test(labels) for test in tests), nodes)

    def and_expression(self, nodes: list[_Node]) -> _Node:
        if len(nodes) == 1:
            return nodes[0]
        tests = tuple(node.test for node in nodes)
        return _nested(lambda labels: all(test(labels) for test in tests), nodes)

    def negated(self, nodes: list[_Node]) -> _Node:
        test = nodes[0].test
        return _nested(lambda labels: not test(labels), nodes)

    def everything(self, _: list[Any]) -> _Node:
        return _Node(lambda labels: True, 0)

    def strings(self, tokens: list[Token]) -> frozenset[str]:
        return frozenset(token[1:-1] for token in tokens)

    @v_args(inline=True)
    def has(self, label: Token) -> _Node:
        key = str(label)
        return _Node(lambda labels: key in labels, 0)

    @v_args(inline=True)
    def equals(self, label: Token, value: Token) -> _Node:
        key, wanted = str(label), value[1:-1]
        return _Node(lambda labels: labels.get(key) == wanted, 0)

    @v_args(inline=True)
    def differs(self, label: Token, value: Token) -> _Node:
        key, unwanted = str(label), value[1:-1]
        return _Node(lambda labels: labels.get(key) != unwanted, 0)

    @v_args(inline=True)
    def one_of(self, label: Token, values: frozenset[str]) -> _Node:
        key = str(label)
        return _Node(lambda labels: labels.get(key) in values, 0)

    @v_args(inline=True)
    def none_of(self, label: Token, _: Token, values: frozenset[str]) -> _Node:
        key = str(label)
        return _Node(lambda labels: labels.get(key) not in values, 0)

    @v_args(inline=True)
    def contains(self, label: Token, value: Token) -> _Node:
        key, part = str(label), value[1:-1]
        return _Node(lambda labels: key in labels and part in labels[key], 0)

    @v_args(inline=True)
    def starts_with(self, label: Token, _: Token, value: Token) -> _Node:
        key, part = str(label), value[1:-1]
        return _Node(lambda labels: key in labels and labels[key].startswith(part), 0)

    @v_args(inline=True)
    def ends_with(self, label: Token, _: Token, value: Token) -> _Node:
        key, part = str(label), value[1:-1]
        return _Node(lambda labels: key in labels and labels[key].endswith(part), 0)


def _nested(test: Test, nodes: list[_Node]) -> _Node:
    depth = max(node.depth for node in nodes) + 1
    if depth > MAX_DEPTH:
        raise SelectorInvalid(f"nested more than {MAX_DEPTH} deep", offset=0)
    return _Node(test, depth)


_PARSER = Lark(GRAMMAR, parser="lalr", lexer="contextual", transformer=_Compiler(), maybe_placeholders=False)


@lru_cache(maxsize=CACHE_SIZE)
def compile_selector(text: str) -> Matcher:
    """Compile a selector.

    Raises:
        SelectorInvalid: it cannot be read; `offset` says where.
    """
    if len(text) > MAX_LENGTH:
        raise SelectorInvalid(f"longer than {MAX_LENGTH} characters", offset=MAX_LENGTH)
    try:
        node: Any = _PARSER.parse(text)
    except UnexpectedInput as error:
        at_end = isinstance(error, UnexpectedEOF) or getattr(getattr(error, "token", None), "type", "") == "$END"
        offset = len(text) if at_end else int(error.pos_in_stream or 0)
        raise SelectorInvalid(_message(text, offset, error), offset=offset) from error
    return Matcher(text, node.test)


def _message(text: str, offset: int, error: UnexpectedInput) -> str:
    found = f"`{text[offset]}` at character {offset + 1}" if offset < len(text) else "it ends too early"
    names = getattr(error, "accepts", None) or getattr(error, "expected", None) or getattr(error, "allowed", None) or ()
    words = sorted({EXPECTED_WORDS.get(name, f"`{name.lower()}`") for name in names})
    return f"{found}: expected {', '.join(words)}" if words else f"{found} cannot stand there"
