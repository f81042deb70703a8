"""The text of an expression → its tree, or what is wrong with it and where.

    expression := or
    or         := and { "or" and }
    and        := not { "and" not }
    not        := "not" not | comparison
    comparison := chain [ ("==" | "!=") chain | ["not"] "in" ( "[" constants "]" | name ) ]
    chain      := primary { "//" primary | "|" transform }        read from left to right
    primary    := path | constant | meta | "has" "(" expression ")" | "(" expression ")" steps
    path       := { "^" } "." step*      transform := name [ "(" constants ")" ] [ "?" ]

Parsing is linear in the text: no rule is tried twice.
"""

import re
from typing import NoReturn

from relay.sources.mapping.syntax import (
    Among,
    And,
    Argument,
    Compare,
    Expression,
    Fallback,
    Has,
    Literal,
    Meta,
    Name,
    Not,
    Or,
    Path,
    Scalar,
    Setting,
    Step,
    Steps,
    Template,
    Transform,
)

TEXT_MAX = 4000  # characters: an expression is a line, or a few
DEPTH_MAX = 30  # parentheses within one another: the parser calls itself for each
LINKS_MAX = 200  # // and | in one text: each is a call within the next, here and for each document
_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?(?![0-9A-Za-z_.])")
_INDEX = re.compile(r"\[\s*(-?[0-9]{1,6})\s*\]")
_TEXT = re.compile(r'"((?:[^"\\]|\\["\\nt])*)"')
_ESCAPED = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t"}
_SPACE = re.compile(r"\s*")
_META = frozenset({"key", "topic", "partition", "offset", "timestamp", "digest", "index"})
_STARTS_EXPRESSION = re.compile(r'\s*(?:[.^@"]|\((?=\s*(?:[.^@"(]|not\b|has\b)))')
_STARTS_HOLE = re.compile(r"\{(?=\s*[.^@(\"])")
_CUT_OFF = (
    "the text stops in the middle; YAML ends a value at a comma or bracket inside { } and [ ], "
    "and at ' #': put the whole expression in quotes"
)


class NotParsed(Exception):
    """What is wrong with the text of an expression, and at which character (from 0)."""

    def __init__(self, text: str, at: int) -> None:
        super().__init__(text)
        self.text = text
        self.at = at


def is_expression(text: str) -> bool:
    """Whether a text of the mapping is looked up in the document, instead of being a constant."""
    return _STARTS_EXPRESSION.match(text) is not None


def is_template(text: str) -> bool:
    """Whether it is a constant text with expressions in it."""
    return _STARTS_HOLE.search(text) is not None


def parse(text: str) -> Expression:
    """The tree of an expression. Raises NotParsed."""
    parser = _Parser(text)
    found = parser.expression()
    parser.end()
    return found


def parse_template(text: str) -> Template:
    """The tree of a text with `{expressions}` in it. Raises NotParsed."""
    parser = _Parser(text)
    parts: list[str | Expression] = []
    while (hole := _STARTS_HOLE.search(text, parser.at)) is not None:
        if hole.start() > parser.at:
            parts.append(text[parser.at : hole.start()])
        parser.at = hole.end()
        parts.append(parser.expression())
        parser.expect("}")
    if parser.at < len(text):
        parts.append(text[parser.at :])
    return Template(tuple(parts))


class _Parser:
    """A place in a text."""

    def __init__(self, text: str) -> None:
        if len(text) > TEXT_MAX:
            raise NotParsed(f"is longer than {TEXT_MAX} characters", TEXT_MAX)
        self.text = text
        self.at = 0
        self.depth = 0
        self.links = 0

    def expression(self) -> Expression:
        """A whole expression from here on."""
        self.depth += 1
        if self.depth > DEPTH_MAX:
            self.fail(f"is nested more than {DEPTH_MAX} deep")
        parts = [self._conjunction()]
        while self._word("or"):
            parts.append(self._conjunction())
        self.depth -= 1
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def end(self) -> None:
        """Nothing may follow."""
        self._skip()
        if self.at < len(self.text):
            self.fail(f"did not expect {self._here()} here")

    def expect(self, sign: str) -> None:
        """Only this sign may follow."""
        if not self._sign(sign):
            self.fail(f"expected {sign} here")

    def fail(self, text: str) -> NoReturn:
        """Give up, with the place."""
        self._skip()
        raise NotParsed(_CUT_OFF if self.at >= len(self.text) else text, self.at)

    def _conjunction(self) -> Expression:
        parts = [self._negation()]
        while self._word("and"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _negation(self) -> Expression:
        negations = 0
        while self._word("not"):
            negations += 1
        found = self._comparison()
        # Twice not is not the same as not at all: what is neither true nor false is not.
        return found if not negations else Not(found) if negations % 2 else Not(Not(found))

    def _comparison(self) -> Expression:
        left = self._chain()
        if self._sign("==") or self._sign("!="):
            negated = self.text[self.at - 2] == "!"
            return Compare(left, self._chain(), negated)
        if self._sign("="):
            self.fail("= is written == here")
        before = self.at
        negated = self._word("not")
        if self._word("in"):
            return Among(left, self._options(), negated)
        self.at = before
        return left

    def _options(self) -> tuple[Argument, ...]:
        if self._sign("["):
            return self._arguments("]")
        return (self._argument(),)

    def _chain(self) -> Expression:
        found = self._primary()
        while True:
            if self._sign("//"):
                found = Fallback(found, self._primary())
            elif self._sign("|"):
                found = self._transform(found)
            else:
                return found
            self.links += 1
            if self.links > LINKS_MAX:
                self.fail(f"has more than {LINKS_MAX} // and |")

    def _transform(self, inner: Expression) -> Transform:
        self._skip()
        name = _WORD.match(self.text, self.at)
        if name is None:
            self.fail("expected the name of a transform after |")
        self.at = name.end()
        arguments = self._arguments(")") if self._sign("(") else ()
        return Transform(inner, name[0], arguments, soft=self._sign("?"))

    def _arguments(self, closing: str) -> tuple[Argument, ...]:
        found: list[Argument] = []
        while not self._sign(closing):
            if found:
                self.expect(",")
            found.append(self._argument())
        return tuple(found)

    def _argument(self) -> Argument:
        constant = self._constant()
        if constant is not None:
            return constant
        if self._sign("@"):
            meta = self._meta()
            if isinstance(meta, Setting):
                return meta
            self.fail("only constants, tables and @settings may stand here")
        name = _WORD.match(self.text, self.at)
        if name is None:
            self.fail("expected a constant (text in double quotes), a table or @settings here")
        self.at = name.end()
        return Name(name[0])

    def _constant(self) -> Literal | None:
        self._skip()
        quoted = _TEXT.match(self.text, self.at)
        if quoted is not None:
            self.at = quoted.end()
            return Literal(_ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), quoted[1]))
        if self.text.startswith('"', self.at):
            self.at = len(self.text)
            self.fail("")
        number = _NUMBER.match(self.text, self.at)
        if number is not None:
            self.at = number.end()
            value: Scalar = float(number[0]) if number[1] else int(number[0])
            return Literal(value)
        for word, truth in (("true", True), ("false", False)):
            if self._word(word):
                return Literal(truth)
        return None

    def _primary(self) -> Expression:
        constant = self._constant()
        if constant is not None:
            return constant
        if self._sign("@"):
            return self._meta()
        if self._sign("("):
            inner = self.expression()
            self.expect(")")
            return self._stepped(inner)
        if self._word("has"):
            self.expect("(")
            inner = self.expression()
            self.expect(")")
            return Has(inner)
        return self._path()

    def _stepped(self, inner: Expression) -> Expression:
        steps = self._steps()
        return Steps(inner, steps) if steps else inner

    def _meta(self) -> Meta | Setting:
        word = _WORD.match(self.text, self.at)
        name = word[0] if word else ""
        self.at += len(name)
        if name == "settings" and self.text.startswith(".", self.at):
            self.at += 1
            setting = _WORD.match(self.text, self.at)
            if setting is None:
                self.fail("expected the name of a setting after @settings.")
            self.at = setting.end()
            return Setting(setting[0])
        if name == "null":
            return Meta("null")
        if name == "header":
            self.expect("(")
            argument = self._constant()
            if argument is None or not isinstance(argument.value, str):
                self.fail('@header wants the name of a header in double quotes: @header("x")')
            self.expect(")")
            return Meta("header", argument.value)
        if name not in _META:
            self.at -= len(name)
            self.fail(
                "after @ may stand key, header(…), topic, partition, offset, timestamp, digest, "
                "index, settings.… or null"
            )
        return Meta(name)

    def _path(self) -> Path:
        self._skip()
        start = self.at
        while self.text.startswith("^", self.at):
            self.at += 1
        out = self.at - start
        if not self.text.startswith(".", self.at):
            word = _WORD.match(self.text, self.at)
            if word is not None and not out:
                self.fail(f"{word[0]} is no path: a path begins with a dot, text is in quotes")
            self.fail("expected a path (it begins with a dot), a constant or ( here")
        # What may follow the dot:
        #
        #     a key, plain or quoted    the first step
        #     a bracket                 the element itself, and then a position in it
        #     a digit                   a mistake: `.5` is no number here, and no position
        #     anything else             the element itself
        after = self.text[self.at + 1 : self.at + 2]
        if after.isdigit():
            self.fail("a dot and a digit: write 0.5 for a number, [0] for the first of a list")
        # A dot alone is the element itself: the steps that follow begin with another sign.
        if not (after == '"' or _KEY.match(after)):
            self.at += 1
        return Path(out, self._steps())

    def _steps(self) -> tuple[Step, ...]:
        steps: list[Step] = []
        while True:
            index = _INDEX.match(self.text, self.at)
            if index is not None:
                self.at = index.end()
                steps.append(int(index[1]))
            elif self.text.startswith(".", self.at):
                self.at += 1
                steps.append(self._key())
            else:
                return tuple(steps)

    def _key(self) -> str:
        plain = _KEY.match(self.text, self.at)
        if plain is not None:
            self.at = plain.end()
            return plain[0]
        quoted = _TEXT.match(self.text, self.at)
        if quoted is not None:
            self.at = quoted.end()
            return _ESCAPED.sub(r"\1", quoted[1])
        return self.fail('expected a key after the dot; one with other signs is quoted: ."a key"')

    def _sign(self, sign: str) -> bool:
        self._skip()
        if not self.text.startswith(sign, self.at):
            return False
        self.at += len(sign)
        return True

    def _word(self, word: str) -> bool:
        self._skip()
        found = _WORD.match(self.text, self.at)
        if found is None or found[0] != word:
            return False
        self.at = found.end()
        return True

    def _skip(self) -> None:
        space = _SPACE.match(self.text, self.at)
        self.at = space.end() if space else self.at

    def _here(self) -> str:
        word = _WORD.match(self.text, self.at)
        return word[0] if word else self.text[self.at]
