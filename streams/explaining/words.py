"""The words of `livetags explain`, in English and Chinese, beside those of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from streams.web.words import Language
from streams.web.words import say as say_on_page

WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "customer": ("Customer {}", "客户 {}"),
    "as of": ("{}, as of {} ({})", "{}，截至 {}（{}）"),
    "segment": ("Segments", "客群"),
    "rule": ("Rule", "规则"),
    "values": ("Values", "取值"),
    "decides": ("Decided by", "判定"),
    "met": ("met: {}", "已满足：{}"),
    "not met": ("not met: {}", "未满足：{}"),
    "turns": ("turns {1} at {0} if nothing happens", "若无新记录，将于 {0} 变为 {1}"),
    "in": ("in", "在内"),
    "not in": ("not in", "不在内"),
    "unknown": ("unknown", "未知"),
    "since": ("since {}, {}", "自 {} 起，{}"),
    "never": ("has never changed", "从未变化"),
    # causes
    "event": ("by an event", "因事件"),
    "time": ("as time passed", "因时间流逝"),
    "late": ("by a late event", "因迟到事件"),
    "profile": ("by a change of the profile", "因资料变更"),
    "score": ("by a new score", "因评分变化"),
    "cut-point": ("by new cut-points", "因分位点更新"),
    "definition": ("by a new definition", "因定义变更"),
    "erasure": ("by erasure", "因删除"),
    "correction": ("by a correction", "因更正"),
    # quantiles
    "cut-points": ("Cut-points", "分位点"),
    "from value": ("{}: from {}", "{}：{}起"),
    "up to": ("{}: up to {}", "{}：不超过{}"),
    "lifetime": ("Lifetime", "客户生命周期"),
    "bought": ("{} times so far, last {} ago, first {} ago", "累计 {} 次，距上次 {}，距首次 {}"),
    "paid": (", {} in all", "，合计 {}"),
    "fitted": ("model {}, version {}, made {} of {} customers", "模型“{}”第 {} 版，{} 由 {} 位客户得出"),
    "cuts of": ("version {}, made {} of {} customers", "第 {} 版，{} 由 {} 位客户得出"),
    # scores
    "probability": ("Probability", "概率"),
    "of usual": (
        "{} (it would be {} if all of these were as usual; model {})",
        "{}（若各项均为常见值则为 {}；模型第 {} 版）",
    ),
    "not ready": ("not to be acted on yet: its first horizon has not passed", "首个预测期尚未结束，暂不宜据此行动"),
    "feature": ("Feature", "特征"),
    "customer's": ("This customer", "该客户"),
    "usual": ("Usual", "常见值"),
    "effect": ("Effect", "作用"),
    "pushes up": ("pushes up {:+.2f}", "推高 {:+.2f}"),
    "pushes down": ("pushes down {:+.2f}", "拉低 {:+.2f}"),
    "no push": ("none", "无"),
    "missing counts": ("unknown: counts as usual", "未知：按常见值计"),
    "share of yes": ("yes for {}", "{} 为是"),
    "odds": (
        "An effect of +0.69 doubles the odds, −0.69 halves them.",
        "作用 +0.69 使几率翻倍，−0.69 使几率减半。",
    ),
    "no model": ("No model was learned: there is no score to explain.", "尚未学得模型，没有可解释的评分。"),
}


def say(word: str, language: Language) -> str:
    """The word in that language; where `explain` has none of its own, the page's."""
    if word not in WORDS:
        return say_on_page(word, language)
    english, chinese = WORDS[word]
    return chinese if language is Language.ZH else english


def cause(name: str, language: Language) -> str:
    """By what something changed; a cause without words is said as it is."""
    return say(name, language) if name in WORDS else name
