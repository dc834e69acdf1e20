"""Which conditions decide about a tag or segment: what keeps it on or off, in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from schemas.problems import RuleProblem
from schemas.records import Value
from schemas.rule_text import conditions
from schemas.rule_words import Vocabulary, in_words
from schemas.rules import Expr, parse
from schemas.verdicts import holds
from streams.explaining.words import say
from streams.web import formats
from streams.web.words import Language

_VERDICT: Final = re.compile(r"(?P<rule>.+) (?P<verdict>does not hold|holds)")
_TURN: Final = re.compile(r"turns (?P<value>.+) at (?P<at>[0-9T:.-]+Z) if nothing happens")


def deciding(rule: Expr, on: bool, values: Mapping[str, Value], words: Vocabulary) -> list[str]:
    """The conditions that hold and keep it on, or fail and keep it off; those too close to tell are left out."""
    return [_said(one, on, words) for one in conditions(rule) if holds(one, values) is on]


def translated(flips: str, words: Vocabulary, timezone: str) -> list[str]:
    """What a worker says of the same, in the words and the time zone of the reader; what is not understood stays."""
    return [_translated(part, words, timezone) for part in flips.split("; ")] if flips else []


def _translated(part: str, words: Vocabulary, timezone: str) -> str:
    language = Language(words.language)
    turn = _TURN.fullmatch(part)
    if turn:
        value = say(turn["value"], language) if turn["value"] in ("on", "off", "unknown") else turn["value"]
        return say("turns", language).format(formats.day_and_time(turn["at"], timezone), value)
    verdict = _VERDICT.fullmatch(part)
    if verdict:
        try:
            return _said(parse(verdict["rule"]), verdict["verdict"] == "holds", words)
        except (RuleProblem, TypeError):
            return part
    return part


def _said(condition: Expr, met: bool, words: Vocabulary) -> str:
    return say("met" if met else "not met", Language(words.language)).format(in_words(condition, words))
