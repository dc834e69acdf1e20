"""What the rule parser stumbled over, in words that say what to write instead."""

from __future__ import annotations

import re
from typing import Final

import lark

from schemas.problems import RuleProblem, nearest
from schemas.yaml_text import FULL_WIDTH

KEYWORDS: Final = ("and", "or", "not", "in", "is", "missing", "known")
VALUE_HINT: Final = "If it is a value, put quotes round it: '{}'."

# What the grammar calls its words -> what people call them; those not here are not worth naming.
_SAID: Final = {
    "COMPARE": "a comparison (< <= == != >= >)",
    "NUMBER": "a number",
    "DURATION": "a duration such as 14d",
    "TEXT": "a quoted word",
    "NAME": "a name",
    "LPAR": "'('",
    "RPAR": "')'",
    "COMMA": "','",
    "AND": "'and'",
    "OR": "'or'",
    "IN": "'in'",
    "IS": "'is'",
    "KNOWN": "'known'",
    "MISSING": "'missing'",
    "$END": "the end of the rule",
}
_CHARACTER_HINTS: Final = {
    "'": "This quote is never closed.",
    '"': "This quote is never closed.",
    "&": "Write 'and'.",
    "|": "Write 'or'.",
    "!": "Write 'not', or '!=' to compare.",
    "%": "Write a fraction: 0.1 for 10 %.",
    ".": "Write a digit before the point: 0.5.",
    "≥": "Write '>='.",
    "≤": "Write '<='.",
    "≠": "Write '!='.",
    "×": "Write '*'.",
    "÷": "Write '/'.",
    "¥": "Write the number alone.",
    "￥": "Write the number alone.",
    "$": "Write the number alone.",
    "^": "Powers are not known here.",
    "{": "Round brackets only.",
    "[": "Round brackets only.",
}
_TIMES: Final = {"k": 10**3, "万": 10**4, "百万": 10**6, "mio": 10**6, "million": 10**6} | {
    f"e{n}": 10**n for n in range(1, 10)
}
_OTHER_WORDS: Final = {
    "AND": "Write 'and'.",
    "OR": "Write 'or'.",
    "NOT": "Write 'not'.",
    "IN": "Write 'in'.",
    "between": "Write 'name >= 1 and name <= 5'.",
    "contains": "Write name == 'value'.",
    "like": "Write name == 'value'.",
    "equals": "Write '=='.",
    "且": "Write 'and'.",
    "或": "Write 'or'.",
}


def explain(text: str, error: lark.exceptions.UnexpectedInput) -> RuleProblem:
    """The problem at the place where the rule stops being one."""
    column = error.pos_in_stream if error.pos_in_stream is not None and error.pos_in_stream >= 0 else len(text)
    if isinstance(error, lark.exceptions.UnexpectedCharacters):
        return _character(text, column)
    token = str(getattr(error, "token", "") or "")
    expected = _expected(error)
    if not token:
        where = len(text.rstrip())
        hint = "Close the bracket with ')'." if text.count("(") > text.count(")") and "')'" in expected else ""
        return RuleProblem("the rule ends too early" if text.strip() else "the rule is empty", where, expected, hint)
    before = text[:column].rstrip()
    return RuleProblem(f"{token!r} can't stand here", column, expected, _token_hint(before, token, text[column:]))


def _character(text: str, column: int) -> RuleProblem:
    char = text[column] if column < len(text) else ""
    if char == "=":
        swapped = text[column : column + 2] in ("=>", "=<")
        hint = f"Write '{text[column + 1]}='." if swapped else "Write '==' to compare."
    elif char in FULL_WIDTH:
        hint = f"Write the plain {FULL_WIDTH[char]!r}."
    elif char == "." and re.search(r"\w$", text[:column]):
        hint = "A name has letters, digits and _ only."
    else:
        hint = _CHARACTER_HINTS.get(char, "")
    return RuleProblem(f"the character {char!r} can't stand here", column, suggestion=hint)


def _token_hint(before: str, token: str, rest: str) -> str:
    number = re.search(r"(?<!\w)([0-9][0-9_]*(?:\.[0-9]+)?)$", before)
    if number and token == "," and re.match(r",[0-9]{3}(?![0-9])", rest):
        return f"Write {number[1]}_{rest[1:4]}: a number has no commas."
    if number and (many := _TIMES.get(token.casefold())):
        return f"Write {float(number[1].replace('_', '')) * many:_.0f}."
    if number and (unit := re.match(r"(month|mo|year|y|ms|s|m|h|d|w)[a-z]*$", token.casefold())):
        return _duration_hint(number[1], unit[1])
    if token == "(" and re.search(r"[^\W\d]\w*$", before):
        return "The only functions are min, max and abs."
    if before.endswith((" is", "\tis")) and token == "not":
        return "Write 'is known'."
    if before.endswith(" is"):
        return "Write 'is missing' or 'is known'; to compare write '=='."
    if token in KEYWORDS and before.endswith(("==", "!=", "(", ",")):
        return VALUE_HINT.format(token)
    if before.endswith(("<", ">", "=")) and re.match(r"[<>=!]", token):
        return "Comparisons are < <= == != >= >."
    if re.search(r"\bin\s*\($|,$", before) and re.match(r"[^\W\d]", token):
        return VALUE_HINT.format(token)
    if re.search(r"\bin$", before):
        return "Write in ('a', 'b'), with round brackets."
    return _OTHER_WORDS.get(token) or _OTHER_WORDS.get(token.casefold()) or nearest(token, KEYWORDS)


def _duration_hint(number: str, unit: str) -> str:
    days = {"month": 30, "mo": 30, "year": 365, "y": 365}.get(unit)
    if "." in number:
        return "A duration is a whole number with its unit: 90m instead of 1.5h."
    return f"Write {int(number.replace('_', '')) * days}d." if days else f"Write {number}{unit}."


def _expected(error: lark.exceptions.UnexpectedInput) -> str:
    names = getattr(error, "accepts", None) or getattr(error, "expected", None) or ()
    words = sorted({_SAID[name] for name in names if name in _SAID})
    if "a name" in words and "a number" in words:
        words = ["a name", "a number or duration", *(w for w in words if w == "a quoted word")]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + f" or {words[-1]}" if words else ""
