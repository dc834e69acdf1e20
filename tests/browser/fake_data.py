"""A bank's features and segments for the fake worker, and the shape of its tags; shares are of all customers."""

from __future__ import annotations

import msgspec

from schemas.catalogue import TagKind, Unit
from streams.web.view import FeatureView, Titles


def named(en: str, zh: str) -> Titles:
    """Titles in both languages."""
    return {"en": en, "zh": zh}


class FakeTag(msgspec.Struct, frozen=True):
    """A tag, the share of customers with each value, its rule and the features it uses."""

    name: str
    title: Titles
    kind: TagKind
    owner: str
    about: Titles
    shares: dict[str, float]
    rule: str
    uses: tuple[str, ...]
    waits: str = ""

    @property
    def boolean(self) -> bool:
        """Whether it is on or off."""
        return set(self.shares) == {"false", "true"}


class FakeSegment(msgspec.Struct, frozen=True):
    """A segment and the share of customers in it."""

    name: str
    title: Titles
    about: Titles
    share: float
    rule: str
    uses: tuple[str, ...]


FEATURES = [
    FeatureView("inflow_1h", named("Inflow in 1 hour", "一小时入账"), Unit.MONEY),
    FeatureView("inflow_30d", named("Inflow in 30 days", "三十日入账"), Unit.MONEY),
    FeatureView("outflow_30d", named("Outflow in 30 days", "三十日出账"), Unit.MONEY),
    FeatureView("balance_proxy", named("Net flow, all time", "累计净流入"), Unit.MONEY),
    FeatureView("in_out_ratio", named("Inflow to outflow", "入出比"), Unit.RATIO),
    FeatureView("visits_7d", named("Visits in 7 days", "七日访问次数"), Unit.COUNT),
    FeatureView("visits_30d", named("Visits in 30 days", "三十日访问次数"), Unit.COUNT),
    FeatureView("wealth_views_7d", named("Wealth pages in 7 days", "七日理财页浏览"), Unit.COUNT),
    FeatureView("active_days_30d", named("Active days in 30", "三十日活跃天数"), Unit.COUNT),
    FeatureView("payees_30d", named("Payees in 30 days", "三十日收款人数"), Unit.COUNT),
    FeatureView("since_activity", named("Since last activity", "距上次活动"), Unit.DURATION),
    FeatureView("top_channel", named("Preferred channel", "偏好渠道"), Unit.CATEGORY),
    FeatureView("last_login", named("Last log-in", "上次登录"), Unit.TIME),
    FeatureView("vip_flag", named("VIP in the profile", "资料中的贵宾"), Unit.BOOLEAN),
]

SEGMENTS = [
    FakeSegment(
        "deposit_prospects",
        named("Deposit prospects", "存款意向客群"),
        named("Large inflow and still active", "大额流入且活跃"),
        0.0035,
        "large_inflow and lifecycle in ('active', 'cooling')",
        ("inflow_1h", "lifecycle"),
    ),
    FakeSegment(
        "wealth_prospects",
        named("Wealth prospects", "理财意向客群"),
        named("Look at wealth pages and can afford them", "浏览理财且有资金"),
        0.058,
        "wealth_interest and balance_tier != 'mass'",
        ("wealth_views_7d", "balance_proxy"),
    ),
    FakeSegment(
        "loan_prospects",
        named("Loan prospects", "贷款意向客群"),
        named("Short of cash, salary here", "资金紧张且代发工资"),
        0.024,
        "cash_tight and salary_here",
        ("in_out_ratio",),
    ),
    FakeSegment(
        "cooling_vips",
        named("VIPs cooling down", "降温贵宾"),
        named("VIPs not seen for two weeks", "两周未活动的贵宾"),
        0.006,
        "vip and lifecycle == 'cooling'",
        ("since_activity", "vip_flag"),
    ),
    FakeSegment(
        "wake_up",
        named("To be woken", "待唤醒客群"),
        named("Dormant with a balance", "沉睡且有余额"),
        0.114,
        "lifecycle == 'dormant'",
        ("since_activity",),
    ),
    FakeSegment(
        "money_leaving",
        named("Money leaving", "资金流出预警"),
        named("Funds spreading, activity low", "资金分散且活跃度低"),
        0.011,
        "funds_spreading and activity == 'low'",
        ("payees_30d", "active_days_30d"),
    ),
    FakeSegment(
        "app_evening",
        named("Evening app users", "晚间手机用户"),
        named("Reach them on the app from 18 h", "十八点后手机触达"),
        0.287,
        "channel == 'app' and contact_hour == 'evening'",
        ("top_channel",),
    ),
    FakeSegment(
        "returned",
        named("Won back", "已回流客群"),
        named("Back after a pause", "沉睡后回流"),
        0.008,
        "back_again",
        ("visits_7d",),
    ),
]
