"""The page's words in English and Chinese, and which of a catalogue's titles to show."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Language(StrEnum):
    """The languages of the page."""

    EN, ZH = "en", "zh"

    @property
    def other(self) -> Language:
        """The language to switch to."""
        return Language.EN if self is Language.ZH else Language.ZH


WORDS: Final[Mapping[str, tuple[str, str]]] = {
    # states of the worker
    "starting": ("starting", "启动中"),
    "recovering": ("recovering", "恢复中"),
    "running": ("running", "运行中"),
    "done": ("done", "已完成"),
    "n_left": ("{} records of the changelog left", "变更日志还剩 {} 条"),
    "about_s": ("about {} s", "约 {} 秒"),
    # figures
    "events_per_s": ("Events per second", "每秒事件数"),
    "events": ("Events", "事件"),
    "changes": ("Changes", "变化"),
    "customers": ("Customers", "客户"),
    "event_time": ("Event time", "事件时间"),
    "set_aside": ("Set aside", "未采用"),
    "per_thousand": ("{} per 1,000 events", "每千个事件 {} 次"),
    "dead": ("unreadable", "无法读取"),
    "late": ("late", "过迟"),
    "duplicates": ("repeated", "重复"),
    "event clock": ("event clock", "事件时钟"),
    "wall clock": ("wall clock", "实时时钟"),
    "n_events": ("{} events", "{} 个事件"),
    "no_events": ("no event yet", "尚无事件"),
    "progress": ("Progress", "进度"),
    # cards
    "segments": ("Customers by segment", "各客群人数"),
    "tags": ("Customers by tag", "各标签人数"),
    "feed": ("Changes as they happen", "实时变化"),
    "feed_some": ("a few of {} a second", "每秒 {} 条，显示其中几条"),
    "feed_paused": ("waits while you point at it", "鼠标停留时暂停"),
    "freshness": ("How fresh it is", "新鲜度"),
    "promises": ("Tags with a promise", "有新鲜度承诺的标签"),
    "of_customers": ("bars are shares of all customers", "条形为占全部客户的比例"),
    "no_changes": ("No tag or segment has changed yet.", "尚无标签或客群变化。"),
    "no_segments": ("The catalogue has no segments.", "目录中没有客群。"),
    "no_tags": ("The catalogue has no tags.", "目录中没有标签。"),
    # kinds of tags
    "static": ("Static", "静态"),
    "behaviour": ("Behaviour", "行为"),
    "value": ("Value", "价值"),
    "lifecycle": ("Life cycle", "生命周期"),
    "predicted": ("Predicted", "预测"),
    # values
    "on": ("on", "是"),
    "off": ("off", "否"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    "missing": ("unknown", "未知"),
    "cut_points": ("Cut-points", "分位点"),
    "version": ("version", "版本"),
    "warming": ("warming", "预热中"),
    "frozen": ("frozen", "已冻结"),
    "in": ("in", "在内"),
    "enters": ("enters", "进入"),
    "leaves": ("leaves", "离开"),
    "owner": ("Owner", "负责人"),
    "name": ("Name", "名称"),
    "nobody": ("nobody holds a value yet", "尚无客户取值"),
    # causes
    "event": ("event", "事件"),
    "time": ("time passed", "时间流逝"),
    "late cause": ("late event", "迟到事件"),
    "profile": ("profile", "资料"),
    "score": ("score", "评分"),
    "cut-point": ("cut-point", "分位点"),
    "definition": ("definition", "定义"),
    "erasure": ("erasure", "删除"),
    "correction": ("correction", "更正"),
    # sources
    "flowing": ("flowing", "流入中"),
    "silent": ("silent", "静默"),
    "behind": ("behind", "积压"),
    "unread": ("nobody reads it", "无人读取"),
    "unknown": ("not known yet", "尚不清楚"),
    "frozen_at": ("read as of {}", "按 {} 的数据计算"),
    "newest_ago": ("newest event {} ago", "最新事件在{}前"),
    "received_ago": ("last record {} ago", "最近记录在{}前"),
    "lag": ("{} behind", "积压 {}"),
    "lag_for": ("{} behind for {}", "积压 {}，已等 {}"),
    "lag_unknown": ("lag unknown", "积压未知"),
    "n_unread": ("{} of {} partitions", "{}/{} 个分区"),
    # promises
    "kept": ("kept", "已兑现"),
    "missed": ("missed", "未兑现"),
    "no promise": ("no promise", "无承诺"),
    "nobody works on it": ("nobody works on it", "无人处理"),
    "promised": ("promised within {}", "承诺 {}内"),
    "age_now": ("{} now", "目前 {}"),
    # workers
    "n_working": ("{} workers", "{} 个节点工作中"),
    "n_gone": ("{} stopped", "{} 个已停止"),
    # one customer
    "look_up": ("Look up a customer by id", "按编号查找客户"),
    "customer": ("Customer", "客户"),
    "close": ("Close", "关闭"),
    "as_of": ("as of", "截至"),
    "since": ("since", "自"),
    "in_segments": ("Segments", "所在客群"),
    "in_none": ("In no segment.", "不在任何客群中。"),
    "has_tags": ("Tags", "标签"),
    "not_now": ("Not now", "当前未命中"),
    "features": ("Features", "特征"),
    "rule": ("Rule", "规则"),
    "values": ("With", "取值"),
    "flips": ("What would change it", "如何改变"),
    "cause": ("Last changed by", "最近变化原因"),
    "unknown_customer": ("No such customer on this worker.", "本节点没有该客户。"),
    "unknown_why": (
        "No record of this customer has been applied here, or another worker has the customer.",
        "尚未处理过该客户的记录，或该客户由其他节点负责。",
    ),
    # the page itself
    "language": ("Switch to Chinese", "切换为英文"),
    "theme": ("Light, dark or as the system", "浅色、深色或跟随系统"),
    # durations
    "d": ("d", "天"),
    "h": ("h", "小时"),
    "min": ("min", "分"),
    "s": ("s", "秒"),
    "ms": ("ms", "毫秒"),
}


def say(word: str, language: Language) -> str:
    """The page's word for it."""
    english, chinese = WORDS[word]
    return chinese if language is Language.ZH else english


def say_or(word: str, language: Language) -> str:
    """The page's word where there is one, else the word itself."""
    return say(word, language) if word in WORDS else word


def title_in(titles: Mapping[str, str], language: Language, name: str) -> str:
    """The title in that language, else in any, else the name."""
    return titles.get(language) or next((title for title in titles.values() if title), name)


def second_title(titles: Mapping[str, str], language: Language, name: str) -> str:
    """The title in the other language where it says something else; may be empty."""
    other = titles.get(language.other, "")
    return other if other != title_in(titles, language, name) else ""
