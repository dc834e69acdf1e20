"""A small bank and its stream for the tests of `livetags explain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from click.testing import CliRunner

from streams.cli import main

CATALOGUE: Final = """
catalogue: small
title: {en: Small bank, zh: 小银行}
timezone: Asia/Shanghai
currency: CNY
sources:
  pay:
    topic: pay
    key: customer
    time: at
    id: id
    fields: {amount: money, way: [in, out]}
  who: {topic: who, kind: profile, key: customer, time: at, fields: {town: [east, west], vip: boolean}}
  done: {topic: done, key: customer, time: at, fields: {what: [opened, closed]}}
features:
  inflow_1h: {source: pay, where: way == 'in', sum: amount, window: 1h, title: {en: "Inflow, 1 hour", zh: 近1小时入账}}
  inflow_30d:
    {source: pay, where: way == 'in', sum: amount, window: 30d, title: {en: "Inflow, 30 days", zh: 近30天入账}}
  payments: {source: pay, count: true, window: 30d, title: {en: Payments, zh: 交易笔数}}
  idle: {source: pay, since: last, title: {en: Since the last payment, zh: 距上次交易}}
  town: {source: who, last: town, title: {en: Town, zh: 城市}}
  is_vip: {source: who, last: vip, title: {en: VIP contract, zh: 贵宾签约}}
tags:
  home: {kind: static, category: town, title: {en: Home, zh: 所在地}}
  vip: {kind: static, when: is_vip, title: {en: VIP, zh: 贵宾}}
  large_inflow:
    kind: behaviour
    title: {en: Large inflow, zh: 大额流入}
    when: inflow_1h >= 50_000 and inflow_1h >= 3 * inflow_30d / 30
    hold: 10m
  worth: {kind: value, title: {en: Worth, zh: 价值}, levels: {high: inflow_30d >= 100_000, low: otherwise}}
  life:
    kind: lifecycle
    title: {en: Life cycle, zh: 生命周期}
    levels: {active: idle < 14d, dormant: idle < 90d, lost: otherwise}
  intent: {title: {en: Intent, zh: 意向}, score: deposit, levels: {high: 0.30, low: 0}, margin: 0.02}
targets:
  deposit:
    title: {en: A deposit is opened, zh: 开立存款}
    label: {source: done, where: what == 'opened', within: 30d}
    features: [inflow_30d, payments, idle, is_vip]
segments:
  to_call: {title: {en: To call, zh: 外呼名单}, when: large_inflow and not vip}
  asleep: {title: {en: Asleep, zh: 沉睡}, when: life == 'dormant'}
"""

# 09:12:33 in Shanghai
STREAM: Final[list[tuple[str, dict[str, Any]]]] = [
    ("who", {"customer": "C1", "at": "2025-01-01T00:00:00Z", "town": "east", "vip": False}),
    ("pay", {"customer": "C1", "at": "2025-01-02T00:00:00Z", "id": "a", "amount": 1200.5, "way": "in"}),
    ("pay", {"customer": "C10", "at": "2025-01-05T01:00:00Z", "id": "b", "amount": 7, "way": "out"}),
    ("pay", {"customer": "C1", "at": "2025-01-05T01:12:33Z", "id": "c", "amount": 61000, "way": "in"}),
]
UNTIL: Final = "2025-01-05T01:20:00Z"
LATER: Final = "2025-01-25T00:00:00Z"


def explain(*arguments: str) -> Any:
    """The result of `livetags explain`."""
    return CliRunner().invoke(main, ["explain", *arguments])


def replayed(directory: Path, until: str = UNTIL, stream: list[tuple[str, dict[str, Any]]] = STREAM) -> Path:
    """The output of a replay of the stream, with the catalogue and its input beside it."""
    catalogue, lines = directory / "small.yaml", directory / "lines.ndjson"
    catalogue.write_text(CATALOGUE, encoding="utf-8")
    lines.write_text("".join(json.dumps({"source": name, "value": value}) + "\n" for name, value in stream))
    arguments = ["replay", str(catalogue), "--input", str(lines), "--out", str(directory / "out"), "--until", until]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return directory / "out"
