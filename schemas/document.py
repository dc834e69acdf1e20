"""A YAML 1.2 file read with positions: every value knows its line and column, and mistakes are collected."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from ruamel.yaml.comments import CommentedMap

from schemas import yaml_text
from schemas.durations import format_duration, parse_duration
from schemas.problems import CatalogueError, Problem, RestsOnBroken, RuleProblem, listing, nearest
from schemas.yaml_text import FULL_WIDTH

T = TypeVar("T")
NAME: Final = re.compile(r"^[^\W\d]\w*$")
RESERVED: Final = ("and", "or", "not", "in", "is", "missing", "known", "otherwise", "true", "false")
_LANGUAGES: Final = ("en", "zh")


class Document:
    """A file's text, its top mapping, and the problems found so far.

    Raises
    ------
    CatalogueError
        Where the text is no YAML mapping.
    """

    def __init__(self, text: str, file: str) -> None:
        self.file, self.lines, self.problems = file, text.splitlines(), list[Problem]()
        data, faults = yaml_text.read(text)
        for fault in faults:
            self.add((fault.line, fault.column), "", fault.message, fault.expected, fault.suggestion)
        if not isinstance(data, CommentedMap):
            if not faults:
                self.add((1, 1), "", "this is not a catalogue", "lines of 'name: value'")
            raise CatalogueError(self.problems)
        self.top = Map(self, data, "", (1, 1))

    def add(self, at: tuple[int, int], path: str, message: str, expected: str = "", suggestion: str = "") -> None:
        """Note a problem at (line, column), both from 1."""
        self.problems.append(Problem(self.file, *at, path or "file", message, expected, suggestion))


class Map:
    """A mapping of the file; its readers return a value or note a problem and return a default."""

    def __init__(self, document: Document, data: Mapping[str, Any], path: str, at: tuple[int, int]) -> None:
        self.document, self.data, self.path, self.start = document, data, path, at

    def __contains__(self, key: str) -> bool:
        return key in self.data

    def at(self, key: str | None = None, of_key: bool = False) -> tuple[int, int]:
        """Line and column, from 1, of a value (or of its key)."""
        positions = getattr(getattr(self.data, "lc", None), "data", None) or {}
        if key is None or key not in positions:
            return self.start
        place = positions[key]
        of_key = of_key or self.data[key] is None
        line, column = place[:2] if of_key or len(place) < 4 else place[2:4]
        return line + 1, column + 1

    def under(self, key: str) -> str:
        """The path of a key, for messages."""
        return f"{self.path}.{key}" if self.path else key

    def problem(
        self, key: str | None, message: str, expected: str = "", suggestion: str = "", of_key: bool = False
    ) -> None:
        """Note a problem at a key's value, or at the mapping's start."""
        path = self.under(key) if key else self.path
        self.document.add(self.at(key, of_key), path, message, expected, suggestion)

    def only(self, allowed: Iterable[str], what: str) -> None:
        """Note every key that is not allowed; a rule cut by YAML at a comma is recognised."""
        allowed = tuple(allowed)
        for key in self.data:
            if key in allowed or self.cut(key):
                continue
            self.problem(
                key,
                f"{what} has no setting {key!r}",
                f"one of {listing(allowed, 30)}",
                nearest(key, allowed) or _full_width(key),
                of_key=True,
            )

    def cut(self, key: object) -> bool:
        """Whether this key is the end of a rule that YAML has cut at a comma; notes the problem."""
        if not isinstance(key, str) or self.data[key] is not None or NAME.match(key):
            return False
        keys = list(self.data)
        before = [k for k in keys[: keys.index(key)] if _open(self.data[k])]
        if before:
            self.problem(before[-1], yaml_text.CUT, "a rule in one piece", yaml_text.CUT_HINT)
        else:
            self.problem(key, f"{key!r} has no value", "'name: value'", of_key=True)
        return True

    def require(self, key: str, what: str) -> bool:
        """Whether the key is there; notes a problem where it is not."""
        if self.data.get(key) is None:
            if key in self.data:
                self.problem(key, f"{key!r} is empty", what, of_key=True)
            else:
                self.problem(None, f"{key!r} is missing", what)
            return False
        return True

    def text(self, key: str, default: str = "") -> str:
        """A text."""
        value = self.data.get(key, default)
        if not isinstance(value, str):
            self.problem(key, f"this is {shape(value)}", "a text")
            return default
        return str(value)

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number from low to high."""
        value = self.data.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.problem(key, f"this is {shape(value)}", f"a whole number from {low} to {high}")
            return default
        return int(value)

    def fraction(self, key: str, default: float) -> float:
        """A number from 0 to 1, `10%` too."""
        given = value = self.data.get(key, default)
        if isinstance(value, str) and re.fullmatch(r"[0-9]+(\.[0-9]+)? ?%", value):
            value = float(value.rstrip(" %")) / 100
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            self.problem(key, f"this is {shape(given)}", "a fraction from 0 to 1, or a percentage such as 10%")
            return default
        return float(value)

    def boolean(self, key: str, default: bool = False) -> bool:
        """Either true or false."""
        value = self.data.get(key, default)
        if not isinstance(value, bool):
            self.problem(key, f"this is {shape(value)}", "true or false")
            return default
        return value

    def duration(self, key: str, default: int | None = None) -> int | None:
        """Milliseconds of a duration such as 14d."""
        if key not in self.data:
            return default
        value = self.data[key]
        ms = parse_duration(value) if isinstance(value, str) else None
        if ms is None:
            expected = "a whole number with ms, s, m, h, d or w, such as 14d"
            self.problem(key, f"{_said(value)} is no duration", expected, _duration_hint(value))
            return default
        return ms

    def items(self, key: str) -> list[tuple[str, tuple[int, int]]]:
        """The texts of a list and where each stands; one text stands for a list of one."""
        value = self.data.get(key, [])
        if isinstance(value, str):
            return [(str(value), self.at(key))]
        if not isinstance(value, list):
            self.problem(key, f"this is {shape(value)}", "a list of words, [a, b]")
            return []
        found: list[tuple[str, tuple[int, int]]] = []
        for index, item in enumerate(value):
            at = self._at_item(key, index)
            if isinstance(item, str):
                found.append((str(item), at))
            else:
                hint = f"Put quotes round it: '{item}'." if isinstance(item, int | float) else ""
                self.document.add(at, self.under(key), f"this is {shape(item)}", "a word", hint)
        return found

    def lists(self, key: str, what: str) -> list[tuple[tuple[str, ...], tuple[int, int]]]:
        """The lists of words in a list, and where each stands; what is no list of words is noted."""
        value = self.data.get(key, [])
        if not isinstance(value, list):
            self.problem(key, f"this is {shape(value)}", f"a list, each of {what}")
            return []
        found: list[tuple[tuple[str, ...], tuple[int, int]]] = []
        for index, item in enumerate(value):
            if isinstance(item, list) and all(isinstance(word, str) for word in item):
                found.append((tuple(map(str, item)), self._at_item(key, index)))
            else:
                self.document.add(self._at_item(key, index), self.under(key), f"this is {shape(item)}", what)
        return found

    def at_word(self, key: str, word: str) -> tuple[int, int]:
        """Line and column, from 1, of a word that stands in a list."""
        value = self.data[key]
        return self._at_item(key, value.index(word)) if isinstance(value, list) else self.at(key)

    def _at_item(self, key: str, index: int) -> tuple[int, int]:
        places = getattr(getattr(self.data[key], "lc", None), "data", None) or {}
        return (places[index][0] + 1, places[index][1] + 1) if index in places else self.at(key)

    def words(self, key: str) -> tuple[str, ...]:
        """A list of texts; one text stands for a list of one."""
        return tuple(word for word, _ in self.items(key))

    def known_words(self, key: str, known: Iterable[str], what: str) -> tuple[str, ...]:
        """The words of a list that are known; every other is noted where it stands."""
        known = tuple(known)
        found: list[str] = []
        for word, at in self.items(key):
            if word in found:
                self.document.add(at, self.under(key), f"{word!r} stands here twice", "each once")
            elif word in known:
                found.append(word)
            else:
                expected = f"one of {listing(known)}"
                self.document.add(at, self.under(key), f"there is no {what} {word!r}", expected, nearest(word, known))
        return tuple(found)

    def titles(self, key: str, default: str) -> dict[str, str]:
        """A text in English, or {en: ..., zh: ...}; missing languages take the first given."""
        value = self.data.get(key)
        if value is None:
            return dict.fromkeys(_LANGUAGES, default)
        if isinstance(value, str):
            return dict.fromkeys(_LANGUAGES, str(value))
        child = self.map(key)
        if child is None:
            return dict.fromkeys(_LANGUAGES, default)
        child.only(_LANGUAGES, "a text in two languages")
        given = {language: child.text(language) for language in _LANGUAGES if language in child}
        return {language: given.get(language) or next(iter(given.values()), default) for language in _LANGUAGES}

    def choice(self, key: str, options: Iterable[str], default: str) -> str:
        """One of the options."""
        value, options = self.data.get(key, default), tuple(options)
        if value not in options:
            expected = f"one of {listing(options, 40)}" if options else ""
            self.problem(key, f"{_said(value)} is not known here", expected, nearest(value, options))
            return default
        return str(value)

    def map(self, key: str) -> Map | None:
        """A mapping below this one, or None."""
        value = self.data.get(key)
        if value is None:
            return None
        if not isinstance(value, CommentedMap):
            self.problem(key, f"this is {shape(value)}", "names with their settings, 'name: value'")
            return None
        return Map(self.document, value, self.under(key), self.at(key, of_key=True))

    def named(self, key: str, what: str) -> Iterator[tuple[str, Map]]:
        """The named mappings below a key; names that are no words are noted."""
        below = self.map(key)
        if below is None:
            return
        for name in below.data:
            if not below.names(name, what):
                continue
            child = below.map(name)
            if child is not None:
                yield str(name), child
            elif below.data[name] is None:
                below.problem(name, f"the {what} is empty", "its settings", of_key=True)

    def names(self, name: object, what: str) -> bool:
        """Whether a key can be a name in rules; notes a problem where it can't."""
        if not isinstance(name, str) or not NAME.match(name):
            expected = "letters, digits and _, not beginning with a digit"
            hint = _full_width(name) or _name_hint(name)
            self.problem(name, f"{_said(name)} can't name a {what}", expected, hint, of_key=True)  # type: ignore[arg-type]
            return False
        if name in RESERVED:
            self.problem(name, f"{name!r} is a word of the rule language", "another name", of_key=True)
            return False
        return True

    def rule(self, key: str, read: Callable[[str], T]) -> T | None:
        """What `read` makes of the rule's text; every RuleProblem is noted at its own column."""
        value = self.data.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            hint = "Leave the quotes of words: direction == 'in'." if isinstance(value, list | dict) else ""
            self.problem(key, f"this is {shape(value)}", "a rule", hint)
            return None
        try:
            return read(str(value))
        except RuleProblem as error:
            if not self._was_cut(value):
                self._add_rule_problems(key, str(value), error)
            return None

    def _add_rule_problems(self, key: str, value: str, error: RuleProblem) -> None:
        for one in (error, *error.others):
            if not isinstance(one, RestsOnBroken):
                at = yaml_text.letter_place(self.document.lines, self.at(key), value, one.column)
                self.document.add(at, self.under(key), one.message, one.expected, one.suggestion)

    def _was_cut(self, value: str) -> bool:
        """Whether the rest of this rule has become a key of its own, which `only` or `cut` have noted."""
        cut = any(v is None and isinstance(k, str) and not NAME.match(k) for k, v in self.data.items())
        return cut and _open(value)


def _open(value: object) -> bool:
    return isinstance(value, str) and value.count("(") > value.count(")")


def _said(value: object) -> str:
    return repr(str(value)) if isinstance(value, str) else shape(value)


def _full_width(text: object) -> str:
    wide = next((char for char in str(text) if char in FULL_WIDTH), "")
    return f"Write the plain {FULL_WIDTH[wide]!r} instead of {wide!r}." if wide else ""


def _name_hint(name: object) -> str:
    made = re.sub(r"\W+", "_", str(name)).strip("_")
    return f"Write {made}." if NAME.match(made) and made != name else ""


def _duration_hint(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = str(value).strip().lower()
    match = re.fullmatch(r"([0-9.]+)\s*(ms|s|m|h|d|w|mo|y|)[a-z]*", text)
    months = {"mo": 30, "y": 365}
    if not match or match[1].count(".") > 1 or not match[1].strip("."):
        return ""
    unit = "mo" if re.search(r"[0-9.]\s*mo", text) else match[2] or "d"
    days = months.get(unit)
    one = parse_duration(f"{days}d" if days else f"1{unit}") or 0
    ms = float(match[1]) * one
    return f"Did you mean {format_duration(round(ms))}?" if 1 <= ms < 1e15 else ""


def shape(value: Any) -> str:
    """What a value is, without telling more of it than a catalogue's reader needs."""
    match value:
        case None:
            return "empty"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {value!r}"
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case datetime.date():
            return f"the date {value}"
    return "something else"
