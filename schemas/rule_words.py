"""A rule's tree to a sentence that needs no knowledge of the rule language, in English or Chinese.

Names become the catalogue's titles and amounts of money bear their currency. What is said means what the rule means:
nothing is turned round, since a comparison with a missing value is false and so is its opposite.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from schemas import rules
from schemas.catalogue import Catalogue, Unit
from schemas.durations import UNITS_MS
from schemas.rules import Arith, Expr, Op

ENGLISH, CHINESE = "en", "zh"
GROUPED_FROM: Final = 10_000  # below it a plain number may be a year


class Term(msgspec.Struct, frozen=True):
    """What a name of the catalogue is called, and measured in; `tag` is a tag's name: it is on or off."""

    title: str
    unit: Unit
    tag: bool = False


class Vocabulary(msgspec.Struct, frozen=True):
    """What to call things in one language, `en` or `zh`."""

    language: str
    terms: Mapping[str, Term]
    currency: str

    def title(self, name: str) -> str:
        """The title, or the name itself where there is none."""
        term = self.terms.get(name)
        return term.title if term else name

    def unit(self, name: str) -> Unit | None:
        """What the name is measured in, None where there is no such name."""
        term = self.terms.get(name)
        return term.unit if term else None

    def say(self, phrase: str) -> str:
        """The phrase of that name."""
        return PHRASES[phrase][self.language == CHINESE]


def vocabulary(catalogue: Catalogue, language: str) -> Vocabulary:
    """The titles of a catalogue's features and tags in a language, or in any other where they have none in it."""
    terms = {one.name: Term(titled(one.title, language, one.name), one.unit) for one in catalogue.features}
    for tag in catalogue.tags:
        unit = Unit.BOOLEAN if tag.boolean else Unit.CATEGORY
        terms[tag.name] = Term(titled(tag.title, language, tag.name), unit, tag=True)
    return Vocabulary(language, terms, catalogue.currency)


def titled(titles: Mapping[str, str], language: str, name: str) -> str:
    """The title in that language, else in any, else the name."""
    return titles.get(language) or next((title for title in titles.values() if title), name)


def in_words(expr: Expr, words: Vocabulary) -> str:
    """The condition as a sentence without a full stop.

    Parameters
    ----------
    expr
        From `schemas.rules.parse`, checked or not; a checked rule's literals are said in major units all the same.
    """
    return _Speaker(words).condition(expr)


def value_in_words(expr: Expr, words: Vocabulary) -> str:
    """The arithmetic of a computed feature as a phrase."""
    return _Speaker(words).value(expr, money=False)


def duration_in_words(ms: int, language: str) -> str:
    """`14 days`, `36 hours`, `1 minute`: in the largest unit that needs no fraction."""
    for unit in ("d", "h", "m", "s", "ms"):
        if ms and ms % UNITS_MS[unit] == 0:
            break
    number, (one, many, chinese) = ms // UNITS_MS[unit], _DURATIONS[unit]
    if language == CHINESE:
        return f"{_plain(Decimal(number))}{chinese}"
    return f"{_plain(Decimal(number))} {one if number == 1 else many}"


class _Clause(msgspec.Struct, frozen=True):
    """A condition cut in two, so that the next one about the same subject need not name it again."""

    subject: str
    predicate: str


class _Speaker:
    def __init__(self, words: Vocabulary) -> None:
        self.words, self.chinese = words, words.language == CHINESE

    def condition(self, expr: Expr) -> str:
        match expr:
            case rules.Both(parts=parts):
                return self._joined(parts, "and")
            case rules.Either(parts=parts):
                return self._joined(parts, "or")
            case rules.Not(of=of) if not isinstance(of, rules.Name):
                return self.words.say("not so").format(self.condition(of))
        return self._sentence(self._clause(expr))

    def _joined(self, parts: tuple[Expr, ...], by: str) -> str:
        said, subject = "", ""
        for part in parts:
            whole = isinstance(part, rules.Both | rules.Either | rules.Not) and not _simple(part)
            clause = None if whole else self._clause(part)
            if clause is not None and said and clause.subject == subject:
                said += self.words.say(f"{by} also") + clause.predicate
            else:
                text = self._sentence(clause) if clause else self._bracketed(self.condition(part), part)
                said += self.words.say(by) + text if said else text
            subject = clause.subject if clause else ""
        return said

    def _bracketed(self, text: str, part: Expr) -> str:
        return text if isinstance(part, rules.Not) else self.words.say("brackets").format(text)

    def _sentence(self, clause: _Clause) -> str:
        return clause.subject + ("" if self.chinese else " ") + clause.predicate

    def _clause(self, expr: Expr) -> _Clause:
        say = self.words.say
        match expr:
            case rules.Name(name=name):
                return _Clause(self.words.title(name), say("on" if self._is_tag(name) else "true"))
            case rules.Not(of=rules.Name(name=name)):
                return _Clause(self.words.title(name), say("off" if self._is_tag(name) else "not true"))
            case rules.Compare(op=op, left=left, right=right):
                return self._compared(op, left, right)
            case rules.Among(of=of, values=values, negated=negated):
                money = self._money(of)
                several = say("comma").join(self.value(value, money) for value in values)
                phrase = ("not" if negated else "") + ("just" if len(values) == 1 else "among")
                return _Clause(self.value(of, money), say(phrase).format(several))
            case rules.Known(of=of, negated=negated):
                return _Clause(self.value(of, False), say("unknown" if negated else "known"))
        raise TypeError(type(expr).__name__)

    def _compared(self, op: Op, left: Expr, right: Expr) -> _Clause:
        money = self._money(left) or self._money(right)
        lasts = self._lasts(left) or self._lasts(right)
        words = isinstance(right, rules.Text)
        predicate = self.words.say(("lasts " if lasts else "word " if words else "") + op.value)
        return _Clause(self.value(left, money), predicate.format(self.value(right, money)))

    def value(self, expr: Expr, money: bool) -> str:
        """The words for a number, duration or category; `money`: a plain number in it is an amount."""
        match expr:
            case rules.Number(value=value):
                return f"{_grouped(value)} {self.words.currency}".strip() if money else _plain(value)
            case rules.Duration(ms=ms):
                return duration_in_words(ms, self.words.language)
            case rules.Text(value=text):
                return text
            case rules.Name(name=name):
                return self.words.title(name)
            case rules.Negate(of=of):
                inner = self.value(of, money)
                return f"−{self.words.say('brackets').format(inner) if isinstance(of, Arith) else inner}"
            case rules.Call(function=function, args=args):
                return self._call(function, args, money)
            case Arith():
                return self._arith(expr, money)
        return self.words.say("brackets").format(self.condition(expr))

    def _call(self, function: str, args: tuple[Expr, ...], money: bool) -> str:
        money = money or any(map(self._money, args))
        said = [self.value(arg, money) for arg in args]
        if function == "abs":
            return self.words.say("abs").format(said[0])
        phrase = f"{function} of two" if len(said) == 2 else f"{function} of many"
        return self.words.say(phrase).format(self.words.say("comma").join(said[:-1]), said[-1])

    def _arith(self, expr: Arith, money: bool) -> str:
        """Brackets only where the order of the rule would be lost without them."""
        adds = expr.op in (Op.ADD, Op.SUB)
        money = money or self._money(expr)
        # A factor is a plain number; only a product of constants that stands for money has its amount on the left.
        on_left = money if adds else money and not rules.names_in(expr)
        left, right = self.value(expr.left, on_left), self.value(expr.right, money and adds)
        if _rank(expr.left) < _rank(expr):
            left = self.words.say("brackets").format(left)
        if _rank(expr.right) <= _rank(expr):
            right = self.words.say("brackets").format(right)
        return f"{left} {_SIGNS[expr.op]} {right}"

    def _is_tag(self, name: str) -> bool:
        term = self.words.terms.get(name)
        return term is not None and term.tag

    def _money(self, expr: Expr) -> bool:
        """Whether the expression is an amount because of a name in it."""
        match expr:
            case rules.Name(name=name):
                return self.words.unit(name) is Unit.MONEY
            case rules.Negate(of=of):
                return self._money(of)
            case rules.Call(args=args):
                return any(map(self._money, args))
            case Arith(op=op, left=left, right=right):
                if op is Op.DIV:
                    return self._money(left) and not self._money(right)
                return self._money(left) or self._money(right)
        return False

    def _lasts(self, expr: Expr) -> bool:
        return isinstance(expr, rules.Duration) or (
            isinstance(expr, rules.Name) and self.words.unit(expr.name) is Unit.DURATION
        )


def _simple(expr: Expr) -> bool:
    return isinstance(expr, rules.Not) and isinstance(expr.of, rules.Name)


def _rank(expr: Expr) -> int:
    """How tightly an expression holds together."""
    if isinstance(expr, Arith):
        return 1 if expr.op in (Op.ADD, Op.SUB) else 2
    return 3


def _plain(value: Decimal) -> str:
    return _grouped(value) if abs(value) >= GROUPED_FROM else f"{value:f}".replace("-", "−")


def _grouped(value: Decimal) -> str:
    return f"{value:,f}".replace("-", "−")


_SIGNS: Final = {Op.ADD: "+", Op.SUB: "−", Op.MUL: "×", Op.DIV: "÷"}
_DURATIONS: Final = {
    "d": ("day", "days", "天"),
    "h": ("hour", "hours", "小时"),
    "m": ("minute", "minutes", "分钟"),
    "s": ("second", "seconds", "秒"),
    "ms": ("millisecond", "milliseconds", "毫秒"),
}
PHRASES: Final[Mapping[str, tuple[str, str]]] = {
    ">=": ("is at least {}", "不低于{}"),
    ">": ("is more than {}", "高于{}"),
    "<=": ("is at most {}", "不高于{}"),
    "<": ("is less than {}", "低于{}"),
    "lasts >=": ("is at least {}", "不少于{}"),
    "lasts >": ("is more than {}", "超过{}"),
    "lasts <=": ("is at most {}", "不超过{}"),
    "lasts <": ("is less than {}", "不足{}"),
    "==": ("equals {}", "等于{}"),
    "!=": ("does not equal {}", "不等于{}"),
    "lasts ==": ("equals {}", "等于{}"),
    "lasts !=": ("does not equal {}", "不等于{}"),
    "word ==": ("is {}", "为{}"),
    "word !=": ("is not {}", "不为{}"),
    "just": ("is {}", "为{}"),
    "notjust": ("is not {}", "不为{}"),
    "among": ("is one of {}", "为{}之一"),
    "notamong": ("is none of {}", "不为{}中任何一个"),
    "known": ("is known", "已知"),
    "unknown": ("is unknown", "未知"),
    "on": ("is on", "为“是”"),
    "off": ("is off", "为“否”"),
    "true": ("is true", "为“是”"),
    "not true": ("is not true", "不为“是”"),
    "and": (" and ", "，且"),
    "and also": (" and ", "且"),
    "or": (" or ", "，或"),
    "or also": (" or ", "或"),
    "not so": ("it is not so that ({})", "并非（{}）"),
    "brackets": ("({})", "（{}）"),
    "comma": (", ", "、"),
    "min of two": ("the smaller of {} and {}", "{}与{}中较小者"),
    "min of many": ("the smallest of {} and {}", "{}与{}中最小者"),
    "max of two": ("the larger of {} and {}", "{}与{}中较大者"),
    "max of many": ("the largest of {} and {}", "{}与{}中最大者"),
    "abs": ("{} without its sign", "{}的绝对值"),
    # rules of tags
    "level": ("{0}: if {1}", "{0}：若{1}"),
    "next level": ("{0}: else if {1}", "{0}：否则若{1}"),
    "otherwise": ("{0}: otherwise", "{0}：其他情况"),
    "hold": ("Once on, it stays on for at least {}", "命中后至少保持{}"),
    "category": ("What {} says", "即{}的取值"),
    "quantiles": ("One of {1} equal parts of the customers by {0}, ", "按{0}将客户{1}等分，"),
    "quantiles rising": ("1 the lowest", "1为最低"),
    "quantiles falling": ("1 the highest value", "1为数值最高者"),
    "population": ("Counted are those for whom {}; the others have no level", "仅计入满足条件者：{}；其余无等级"),
    "missing lowest": ("Who has no value has level 1", "无取值者为1级"),
    "code": ("{}, one after the other", "依次为：{}"),
    "probability": ("Probability that “{}”", "“{}”的概率"),
    "from": ("{} from {}", "{}：{}起"),
    "margin": ("A level is left only {:.3g} points below where it begins", "低于起点{:.3g}个百分点才会降级"),
}
