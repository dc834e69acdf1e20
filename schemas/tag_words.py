"""What makes a tag or segment so, in sentences: one for each level, and what else decides."""

from __future__ import annotations

from schemas.catalogue import Catalogue, Category, Code, Levels, Quantiles, Score, Segment, Tag, When
from schemas.rule_words import CHINESE, ENGLISH, Vocabulary, duration_in_words, in_words, titled, vocabulary


def rules_in_words(catalogue: Catalogue) -> dict[str, dict[str, list[str]]]:
    """By name of every tag and segment, then by language: its rule, a sentence a line."""
    found: dict[str, dict[str, list[str]]] = {}
    items: list[Tag | Segment] = [*catalogue.tags, *catalogue.segments]
    for language in (ENGLISH, CHINESE):
        words = vocabulary(catalogue, language)
        for item in items:
            found.setdefault(item.name, {})[language] = rule_lines(item, catalogue, words)
    return found


def rule_lines(item: Tag | Segment, catalogue: Catalogue, words: Vocabulary) -> list[str]:
    """The rule in one language; of levels, the first whose condition holds is said."""
    if isinstance(item, Segment):
        return [in_words(item.rule, words)]
    match item.rule:
        case When(rule=rule):
            hold = [words.say("hold").format(duration_in_words(item.hold_ms, words.language))] if item.hold_ms else []
            return [in_words(rule, words), *hold]
        case Levels():
            return _levels(item.rule, words)
        case Category(of=of):
            return [words.say("category").format(words.title(of))]
        case Quantiles():
            return _quantiles(item.rule, words)
        case Code(of=parts):
            return [words.say("code").format(words.say("comma").join(map(words.title, parts)))]
        case Score():
            return _score(item.rule, catalogue, words)
    raise TypeError(type(item.rule).__name__)


def _levels(rule: Levels, words: Vocabulary) -> list[str]:
    lines: list[str] = []
    for name, condition in zip(rule.names, rule.rules, strict=True):
        if condition is None:
            lines.append(words.say("otherwise").format(name))
        else:
            lines.append(words.say("next level" if lines else "level").format(name, in_words(condition, words)))
    return lines


def _quantiles(rule: Quantiles, words: Vocabulary) -> list[str]:
    order = words.say("quantiles falling" if rule.falling else "quantiles rising")
    lines = [words.say("quantiles").format(words.title(rule.of), rule.levels) + order]
    if rule.population is not None:
        lines.append(words.say("population").format(in_words(rule.population, words)))
    return [*lines, words.say("missing lowest")] if rule.missing_lowest else lines


def _score(rule: Score, catalogue: Catalogue, words: Vocabulary) -> list[str]:
    titles = next((target.title for target in catalogue.targets if target.name == rule.target), {})
    levels = zip(rule.names, rule.thresholds, strict=True)
    said = words.say("comma").join(words.say("from").format(name, percent(least)) for name, least in levels)
    colon = "：" if words.language == CHINESE else ": "
    lines = [words.say("probability").format(titled(titles, words.language, rule.target)) + colon + said]
    return [*lines, words.say("margin").format(100 * rule.margin)] if rule.margin else lines


def percent(share: float) -> str:
    """`30 %`, `2.5 %`."""
    return f"{100 * share:.3g} %"
