"""Why a record is set aside, and the bounds it has to keep."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

TIME_LIMITS: Final = (0, 7_258_118_400_000)  # 1970-01-01 to 2200-01-01
FIELD_TIME_LIMITS: Final = (-62_135_596_800_000, 253_402_300_800_000)  # the years 1 to 9999, which ISO 8601 can say
LONGEST_ID: Final = 256


class Reason(StrEnum):
    """Why a record is a dead letter."""

    NULL_VALUE, BAD_JSON, MISSING_FIELD, WRONG_TYPE = "null value", "bad JSON", "missing field", "wrong type"
    UNKNOWN_VALUE, BAD_TIME, TIME_RANGE, TIME_AHEAD = "unknown value", "bad time", "time out of range", "time ahead"
    MONEY_DECIMALS, MONEY_RANGE, NUMBER_DECIMALS = "too many decimals", "money out of range", "decimals"
    NULL_KEY, KEY_MISMATCH, WRONG_PARTITION, BAD_ID = "null key", "key is not the customer", "wrong partition", "bad id"
    OVERFLOW, TOO_LARGE = "sum out of range", "too large to re-key"
