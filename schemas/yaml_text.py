"""The text of a YAML file: its mistakes in plain words, names given twice, and where a value's letter stands in it.

Knows YAML, nothing of catalogues beyond that their rules use brackets and commas.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

CUT: Final = "YAML has cut this rule at its comma"
CUT_HINT: Final = "Put quotes round the whole rule, or give the rule a line of its own."
_QUOTE_HINT: Final = "Put quotes round the whole text."
_INDENT_HINT: Final = "Begin it exactly below the first letter of its neighbours, with spaces."
FULL_WIDTH: Final = dict(zip("：，（）“”‘’＝＜＞！；", ":,()\"\"''=<>!;", strict=True))


class Fault(NamedTuple):
    """A mistake in a YAML text; line and column from 1."""

    line: int
    column: int
    message: str
    expected: str = ""
    suggestion: str = ""


# What YAML's parser says -> what we say, what was expected, what to do.
_PLAIN: Final = (
    (r"character '\\t'", "a tab stands here", "spaces", "Indent with spaces, never with tabs."),
    (r"found character '(.)' that cannot start", "a text can't begin with {0}", "", _QUOTE_HINT),
    (r"found unexpected end of stream", "the quote opened here is never closed", "the same quote at the end", ""),
    (r"<block end>, but found '<scalar>'", "there is more text after the closing quote", "", _QUOTE_HINT),
    (r"<block end>, but found '?[\]}]", "this bracket closes nothing", "", "Take it away, or open it before."),
    (
        r"<block end>, but found",
        "this line stands under no other",
        "the same indentation as its neighbours",
        _INDENT_HINT,
    ),
    (r"expected ',' or '([\]}])'", "the bracket opened here is not closed", "'{0}', or ',' before more", ""),
    (r"node content, but found ','", "there is nothing before this comma", "a value, or one comma less", ""),
    (r"node content, but found '?([\]}])", "this bracket closes nothing", "", "Take it away, or open it before."),
    (r"node content, but found", "there is no value here", "a value", _QUOTE_HINT),
    (r"<document start>", "this line stands under no other", "the same indentation as its neighbours", _INDENT_HINT),
    (r"sequence entries are not", "a list's '-' can't stand here", "a line of its own for every '-'", ""),
    (r"mapping keys are not allowed", "a text can't begin with ?", "", _QUOTE_HINT),
    (r"expected URI|expected a tag|unknown tag|could not determine", "a text can't begin with !", "", _QUOTE_HINT),
    (r"undefined alias", "a text can't begin with *", "", _QUOTE_HINT),
    (
        r"but found another document",
        "a second catalogue begins here",
        "one catalogue in a file",
        "Take the '---' away.",
    ),
    (r"chomping or indentation|comment or a line break", "a text can't begin with > or |", "", _QUOTE_HINT),
    (r"alphabetic or numeric character", "a text can't begin with & or *", "", _QUOTE_HINT),
    (r"escape character '(.)'", "\\{0} means nothing in double quotes", "", "Use single quotes."),
)


class Read(NamedTuple):
    """What YAML made of a text, None where it is no YAML; and the mistakes found."""

    data: object
    faults: list[Fault]


def read(text: str) -> Read:
    """The text's values, each with its position, and what is wrong with it as YAML."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReusedAnchorWarning)  # a catalogue has no use for anchors
        try:
            return _read(text)
        except YAMLError as error:
            return Read(None, parse_faults(text, error))
        except RecursionError:
            return Read(None, [Fault(1, 1, "brackets are nested too deeply for a catalogue", "a few levels")])


def _read(text: str) -> Read:
    reader = YAML(typ="rt")
    reader.allow_duplicate_keys = True  # they are said with everything else
    constructor, _ = reader.get_constructor_parser(text)
    node = constructor.composer.get_single_node()
    if node is None:
        return Read(None, [])
    try:
        data = constructor.construct_document(node)
    except (ValueError, TypeError, LookupError, OverflowError):  # what Python says of a value comes through ruamel
        return Read(None, value_faults(text, node))
    return Read(data, repeated_names(node))


def parse_faults(text: str, error: YAMLError) -> list[Fault]:
    """Why the text is no YAML: one fault, as the parser can't go on behind it."""
    if not isinstance(error, MarkedYAMLError):
        return [_bad_character(text, error)]
    mark, context = error.problem_mark or error.context_mark, error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    if context is not None and mark is not None and "flow" in str(error.context):
        cut = _cut_comma(text, context.index, mark.index)
        if cut is not None:
            return [Fault(*_place(text, cut), CUT, "a rule in one piece", CUT_HINT)]
        if wide := re.search("[，：]", text[context.index : mark.index]):
            sign = FULL_WIDTH[wide[0]]
            place = _place(text, context.index + wide.start())
            return [
                Fault(
                    *place, f"this is a full-width {wide[0]!r}", f"{sign!r}", f"Write '{sign} ' instead of '{wide[0]}'."
                )
            ]
    said = str(error.problem or "it can't be read").strip().splitlines()[0]
    if "could not find expected ':'" in said and context is not None:
        return [_no_colon(text.splitlines(), context.line, context.column)]
    if "mapping values are not allowed" in said:
        return [_colon(text.splitlines(), line - 1, column - 1)]
    for pattern, message, expected, hint in _PLAIN:
        if match := re.search(pattern, said):
            if message.endswith(("opened here is never closed", "opened here is not closed")) and context is not None:
                line, column = context.line + 1, context.column + 1
            found = match.groups()
            return [Fault(line, column, message.format(*found), expected.format(*found), hint)]
    return [Fault(line, column, f"this is not YAML: {said}", "", _QUOTE_HINT)]


def _colon(lines: list[str], line: int, column: int) -> Fault:
    """A ':' that YAML did not expect: inside a text, or at a name whose line above spoils it."""
    name = lines[line][:column].strip(" \t{")
    above = next((n for n in range(line - 1, -1, -1) if lines[n].strip()), None)
    if above is None or not re.fullmatch(r"[\w'\" -]+", name) or name != lines[line].strip()[: len(name)]:
        hint = "Put quotes round a text that has a ':' inside."
        return Fault(line + 1, column + 1, "a ':' can't stand here", "one name and one value a line", hint)
    start = len(lines[above]) - len(lines[above].lstrip())
    if not re.search(r":(\s|$)", lines[above]):
        return _no_colon(lines, above, start)
    said = "this line stands further right than the one above, which has a value already"
    return Fault(line + 1, column - len(name) + 1, said, "the same indentation as its neighbours", _INDENT_HINT)


def _no_colon(lines: list[str], line: int, column: int) -> Fault:
    wide = lines[line].find("：") if line < len(lines) else -1
    if wide >= 0:
        return Fault(line + 1, wide + 1, "this is a full-width colon", "'name: value'", "Write ': ' instead of '：'.")
    tight = re.match(r"\s*\w+:\S", lines[line]) if line < len(lines) else None
    hint = "Write a space behind the ':'." if tight else ""
    return Fault(line + 1, column + 1, "this line has no ': '", "'name: value'", hint)


def _bad_character(text: str, error: YAMLError) -> Fault:
    position = getattr(error, "position", 0)
    code = ord(text[position]) if isinstance(position, int) and position < len(text) else 0
    return Fault(*_place(text, position), f"the invisible character U+{code:04X} stands here", "", "Delete it.")


def _place(text: str, index: int) -> tuple[int, int]:
    before = text[:index]
    return before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1


def _cut_comma(text: str, start: int, end: int) -> int | None:
    """The comma inside round brackets between two places of the text, where a rule has been cut."""
    depth, quote = 0, ""
    comma = None
    for index in range(start, end):
        char = text[index]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "()":
            depth = max(0, depth + (1 if char == "(" else -1))
        elif char == "," and depth:
            comma = index if comma is None else comma
        elif char in "{}\n" and depth:
            depth, comma = 0, None
    return comma if depth else None


def value_faults(text: str, root: Node) -> list[Fault]:
    """Values that YAML takes for dates or other things that a catalogue has none of, and can't read as such."""
    faults = []
    for node in _nodes(root):
        mark = node.start_mark
        plain = re.search(r":(str|null|bool|int|float)$", str(node.tag)) and text[mark.index : mark.index + 1] != "!"
        if isinstance(node, ScalarNode) and not plain:
            faults.append(Fault(mark.line + 1, mark.column + 1, f"{node.value!r} is no value", "a text", _QUOTE_HINT))
    return faults or [Fault(1, 1, "a value can't be read", "", _QUOTE_HINT)]


def repeated_names(root: Node) -> list[Fault]:
    """Every name that its mapping has had before."""
    faults = []
    for node in _nodes(root):
        if not isinstance(node, MappingNode):
            continue
        first: dict[str, int] = {}
        for key, _ in node.value:
            name = str(key.value) if isinstance(key, ScalarNode) else ""
            line, column = key.start_mark.line + 1, key.start_mark.column + 1
            if name and name in first:
                message = f"{name!r} stands here twice, first on line {first[name]}"
                faults.append(Fault(line, column, message, "each name once", "Rename one of them, or take it away."))
            first.setdefault(name, line)
    return faults


def _nodes(root: Node) -> Iterator[Node]:
    waiting: list[Any] = [root]
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, SequenceNode):
            waiting += node.value
        elif isinstance(node, MappingNode):
            waiting += [part for pair in node.value for part in pair]


def letter_place(lines: list[str], start: tuple[int, int], value: str, letter: int) -> tuple[int, int]:
    """Line and column, from 1, of a value's letter (from 0; its length stands for its end).

    Parameters
    ----------
    lines
        The file.
    start
        Where the value begins; for `|` and `>` where the sign stands.
    value
        The text as YAML read it: quotes gone, lines folded.
    """
    line, column = start[0] - 1, start[1] - 1
    opening = lines[line][column : column + 1] if line < len(lines) else ""
    if opening in ("|", ">"):
        line, column = line + 1, 0
    elif opening in ("'", '"'):
        column += 1
    after = line, column  # where the letter before the wanted one ends
    for index in range(min(letter + 1, len(value))):
        if value[index].isspace():
            after = after[0], after[1] + 1
            continue
        found = _next(lines, line, column, value[index])
        if found is None:
            return start
        if index == letter:
            return found[0] + 1, found[1] + 1
        doubled = opening == "'" and value[index] == "'"
        line, column = found[0], found[1] + (2 if doubled else 1)
        after = line, column
    return after[0] + 1, after[1] + 1


def _next(lines: list[str], line: int, column: int, char: str) -> tuple[int, int] | None:
    """The next place of a letter, behind white space, line ends and escapes only."""
    while line < len(lines):
        rest = lines[line][column:]
        gap = len(rest) - len(rest.lstrip(" \t\\"))
        if gap < len(rest):
            return (line, column + gap) if rest[gap] == char else None
        line, column = line + 1, 0
    return None
