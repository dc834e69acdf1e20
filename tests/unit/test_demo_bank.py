"""The simulated bank keeps its promises, and the data set files bring back what was written."""

import hashlib
import json
import threading
from collections import defaultdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streams.demo import Stream, bank, bank_truth, dataset
from streams.demo.bank_truth import DAYS, YEAR_START_MS, State

Record = dict[str, Any]
SMALL = 200
SMALL_SHA256 = "a79e34167114b05975f02b553eec796bce337c97df2dbc686b71d9278606f6d6"

FIELDS = {
    "profiles": {"customer_id", "updated_at", "city", "birth_year", "birth_month", "vip", "occupation", "consent"},
    "transactions": {
        *("transaction_id", "customer_id", "occurred_at", "amount", "direction", "type", "channel"),
        *("counterparty", "balance"),
    },
    "app_logs": {"event_id", "customer_id", "at", "event", "channel", "payload", "daypart"},
    "outcomes": {"outcome_id", "customer_id", "at", "event"},
}
WORDS = {
    ("profiles", "occupation"): "salaried self_employed student retired civil_servant",
    ("transactions", "direction"): "in out",
    ("transactions", "type"): "salary transfer card cash fee interest deposit loan wealth",
    ("transactions", "channel"): "app web branch atm pos",
    ("transactions", "counterparty"): "own big_four joint_stock city_bank wallet merchant employer broker",
    ("app_logs", "event"): "login view_deposit view_loan view_wealth transfer service_call complaint logout",
    ("app_logs", "channel"): "app web mini_program",
    ("app_logs", "daypart"): "night morning afternoon evening",
    ("outcomes", "event"): "deposit_opened loan_opened account_closed",
}
TIME_FIELD = {"profiles": "updated_at", "transactions": "occurred_at", "app_logs": "at", "outcomes": "at"}


@pytest.fixture(scope="module")
def small() -> bank.Simulation:
    return bank.simulate(SMALL, seed=7)


@pytest.fixture(scope="module")
def records(small: bank.Simulation) -> dict[str, list[Record]]:
    return {s.name: [json.loads(line) for lines in s.lines() for line in lines] for s in small.streams}


@pytest.fixture(scope="module")
def lives() -> tuple[bank_truth.People, bank_truth.Life, bank_truth.Truth]:
    people = bank_truth.People.draw(5_000, 11)
    life = bank_truth.live(people, 11)
    return people, life, bank_truth.truth(people, life)


def digest(streams: tuple[Stream, ...]) -> str:
    sha = hashlib.sha256()
    for stream in streams:
        for lines in stream.lines(1_000):
            sha.update(b"\n".join(lines))
    return sha.hexdigest()


def auc(p: NDArray[np.float64], happened: NDArray[np.bool_]) -> float:
    """Probability that one that happened had a larger p than one that did not, ties counting half."""
    _, slot, sizes = np.unique(p, return_inverse=True, return_counts=True)
    rank = (np.cumsum(sizes) - (sizes - 1) / 2)[slot]
    positive = int(happened.sum())
    return float((rank[happened].sum() - positive * (positive + 1) / 2) / (positive * (len(p) - positive)))


def test_the_simulation_is_frozen(small: bank.Simulation) -> None:
    """When this fails on purpose, raise dataset.VERSIONS["bank"] with the new digest."""
    assert digest(small.streams) == SMALL_SHA256


def test_another_seed_gives_another_year(small: bank.Simulation) -> None:
    assert digest(bank.simulate(SMALL, seed=8).streams) != digest(small.streams)


def test_sources_come_in_order_and_by_time(small: bank.Simulation, records: dict[str, list[Record]]) -> None:
    assert list(records) == ["profiles", "transactions", "app_logs", "outcomes"]
    for stream in small.streams:
        assert (np.diff(stream.times_ms) >= 0).all()
        texts = [record[TIME_FIELD[stream.name]] for record in records[stream.name]]
        assert all(text.endswith("+08:00") and text.startswith("2025-") for text in texts)
        assert [round(datetime.fromisoformat(text).timestamp() * 1000) for text in texts] == stream.times_ms.tolist()


@pytest.mark.parametrize("source", list(FIELDS))
def test_records_have_the_agreed_fields(records: dict[str, list[Record]], source: str) -> None:
    assert records[source]
    assert all(FIELDS[source] == set(record) - ({"amount"} - FIELDS[source]) for record in records[source])
    ids = [next(iter(record.values())) for record in records[source]]
    assert source == "profiles" or len(set(ids)) == len(ids)


@pytest.mark.parametrize(("source", "field"), list(WORDS))
def test_words_are_the_agreed_ones(records: dict[str, list[Record]], source: str, field: str) -> None:
    assert {record[field] for record in records[source]} <= set(WORDS[source, field].split())


def test_dayparts_follow_the_local_hour(records: dict[str, list[Record]]) -> None:
    parts = ("night", "morning", "afternoon", "evening")
    assert all(log["daypart"] == parts[int(log["at"][11:13]) // 6] for log in records["app_logs"])


def test_seconds_are_sometimes_absent(records: dict[str, list[Record]]) -> None:
    absent = np.mean(["seconds" not in log["payload"] for log in records["app_logs"]])
    assert 0.05 < absent < 0.15
    assert all(log["payload"]["page"] for log in records["app_logs"])


def test_balances_add_up_and_stay_positive(records: dict[str, list[Record]]) -> None:
    balances: dict[str, int] = {}
    for move in records["transactions"]:
        who, cents, left = move["customer_id"], round(move["amount"] * 100), round(move["balance"] * 100)
        signed = cents if move["direction"] == "in" else -cents
        assert left == balances.get(who, left - signed) + signed
        assert min(cents, left) > 0
        balances[who] = left


def test_a_deposit_is_a_transaction_too(records: dict[str, list[Record]]) -> None:
    moved = {
        (move["customer_id"], move["occurred_at"][:10], move["amount"])
        for move in records["transactions"]
        if (move["type"], move["direction"]) == ("deposit", "out")
    }
    opened = [end for end in records["outcomes"] if end["event"] == "deposit_opened"]
    assert opened
    assert {(end["customer_id"], end["at"][:10], end["amount"]) for end in opened} == moved


def test_sleepers_are_silent_and_closed_accounts_stay_so(records: dict[str, list[Record]]) -> None:
    life = bank_truth.live(bank_truth.People.draw(SMALL, 7), 7)
    slept = 0
    for source in ("transactions", "app_logs"):
        for record in records[source]:
            who = int(record["customer_id"][1:])
            moment = datetime.fromisoformat(record[TIME_FIELD[source]]).timestamp() * 1000
            day = int(moment - YEAR_START_MS) // 86_400_000
            slept += life.state[who, day] == State.ASLEEP
            assert day < life.closed_day[who]
    assert slept == 0
    asleep = life.state == State.ASLEEP
    assert (asleep[:, :-1] & (life.state[:, 1:] == State.AWAKE)).any(), "somebody comes back"


def test_a_burst_shows_as_views_of_deposits(records: dict[str, list[Record]]) -> None:
    life = bank_truth.live(bank_truth.People.draw(SMALL, 7), 7)
    views: dict[tuple[int, int], int] = defaultdict(int)
    for log in records["app_logs"]:
        day = (datetime.fromisoformat(log["at"]).timestamp() * 1000 - YEAR_START_MS) // 86_400_000
        views[int(log["customer_id"][1:]), int(day)] += log["event"] == "view_deposit"
    assert all(views[who, day] >= 3 for who, day in np.argwhere(life.views).tolist())


def test_months_ends_are_busy(records: dict[str, list[Record]]) -> None:
    ends = {f"{month:02d}-{last}" for month, last in enumerate(bank.MONTH_DAYS.tolist(), 1)}
    share = np.mean([move["occurred_at"][5:10] in ends for move in records["transactions"]])
    assert 0.22 < share < 0.36


def test_true_p_is_calibrated_and_ranks(lives: tuple[bank_truth.People, bank_truth.Life, bank_truth.Truth]) -> None:
    _, _, truth = lives
    known = truth.deposited >= 0
    p, happened = truth.p[known], truth.deposited[known] == 1
    assert 0.02 < happened.mean() < 0.04
    assert 0.80 < auc(p, happened) < 0.90
    for decile in np.array_split(np.argsort(p, kind="stable"), 10):
        expected = p[decile].mean()
        independent = len(decile) * 7 / bank_truth.HORIZON  # neighbouring weeks share most of their 30 days
        bound = 4 * np.sqrt(expected * (1 - expected) / independent) + 1e-9
        assert abs(happened[decile].mean() - expected) < bound


def test_every_trigger_has_its_moment_and_raises_what_was_true_before(small: bank.Simulation) -> None:
    life, fallen, truth = bank_truth.live(bank_truth.People.draw(SMALL, 7), 7), small.truth.fallen, small.truth
    who, day = fallen["customer"], (fallen["at"] - YEAR_START_MS) // 86_400_000
    for triggers, mass in ((life.surges, bank_truth.SURGE_MASS), (life.views, bank_truth.VIEWS_MASS)):
        mine = fallen["mass"] == mass
        assert {*zip(who[mine].tolist(), day[mine].tolist(), strict=True)} == {
            *map(tuple, np.argwhere(triggers).tolist())
        }
    assert len(fallen) == life.surges.sum() + life.views.sum()
    assert (fallen["before"] < truth.p[who, day]).all()
    earlier = (life.surges | life.views)[who, np.maximum(day - 1, 0)]
    yesterday = truth.p[who, np.maximum(day - 1, 0)]
    assert np.allclose(fallen["before"][~earlier], yesterday[~earlier], rtol=0.2)


def test_what_a_customer_does_tells_the_temper(
    lives: tuple[bank_truth.People, bank_truth.Life, bank_truth.Truth],
) -> None:
    people, _, _ = lives
    quiet, plain, mover = (people.activity[people.temper == temper] for temper in range(3))
    assert np.quantile(quiet, 0.95) < np.quantile(plain, 0.05)
    assert np.quantile(plain, 0.95) < np.quantile(mover, 0.05)
    assert 0.85 < people.activity.mean() < 1.0  # so that the bank has as many events as one with one temper


def test_an_outcome_comes_before_the_money_that_would_give_it_away(records: dict[str, list[Record]]) -> None:
    opened, moved = defaultdict[tuple[str, float], list[str]](list), defaultdict[tuple[str, float], list[str]](list)
    for end in records["outcomes"]:
        if end["event"] == "deposit_opened":
            opened[end["customer_id"], end["amount"]].append(end["at"])
    for move in records["transactions"]:
        if (move["type"], move["direction"]) == ("deposit", "out"):
            moved[move["customer_id"], move["amount"]].append(move["occurred_at"])
    assert moved.keys() == opened.keys()
    assert all(
        outcome < money for key, times in moved.items() for outcome, money in zip(opened[key], times, strict=True)
    )


@pytest.mark.parametrize("case", ["asleep", "fresh trigger", "long after a trigger", "leaving"])
def test_true_p_is_calibrated_in_every_situation(
    lives: tuple[bank_truth.People, bank_truth.Life, bank_truth.Truth], case: str
) -> None:
    _, life, truth = lives
    state = life.state[:, truth.day]
    trigger = life.surges | life.views
    since = np.stack([trigger[:, max(0, day - 6) : day + 1].any(axis=1) for day in truth.day], axis=1)
    before = np.stack([trigger[:, max(0, day - 29) : day + 1].any(axis=1) for day in truth.day], axis=1)
    chosen = {
        "asleep": state == State.ASLEEP,
        "fresh trigger": since,
        "long after a trigger": before & ~since,
        "leaving": state == State.LEAVING,
    }[case] & (truth.deposited >= 0)
    p, happened = truth.p[chosen], truth.deposited[chosen] == 1
    error = 4 * np.sqrt(max(1e-12, p.mean() * (1 - p.mean())) / (len(p) * 7 / bank_truth.HORIZON))
    assert len(p) > 1_000
    assert abs(p.mean() - happened.mean()) <= error


def test_the_horizon_beyond_the_year_is_unknown(small: bank.Simulation) -> None:
    truth = small.truth
    assert truth.p.shape == truth.deposited.shape == (SMALL, len(truth.day))
    assert ((truth.deposited < 0) == (truth.day + bank_truth.HORIZON >= DAYS)).all()
    assert ((truth.p >= 0) & (truth.p < 1)).all()


def test_loans_are_as_rare_as_in_the_czech_bank(
    lives: tuple[bank_truth.People, bank_truth.Life, bank_truth.Truth],
) -> None:
    _, life, _ = lives
    starts = range(0, DAYS - 30, 15)
    rates = [np.mean(life.loan_day[life.loan_day >= day] < day + 30) for day in starts]
    assert 0.003 < np.mean(rates) < 0.0055


def test_load_makes_the_files_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate = bank.simulate
    monkeypatch.setattr(bank, "simulate", partial(simulate, 20))
    made = dataset.load("bank", tmp_path)
    monkeypatch.setattr(bank, "simulate", None)
    again = dataset.load("bank", tmp_path)
    assert again == made
    assert [path.name for path in tmp_path.iterdir()] == [f"bank-v{dataset.VERSIONS['bank']}"]
    assert np.load(made.directory / "truth.npz")["p"].shape[0] == 20
    assert made.events == {name: len(path.read_bytes().splitlines()) for name, path in made.sources.items()}


def test_two_at_once_leave_one_whole_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    barrier = threading.Barrier(2)
    simulation = bank.simulate(20)

    def simulate(customers: int) -> bank.Simulation:
        barrier.wait(5)
        return simulation

    monkeypatch.setattr(bank, "simulate", simulate)
    loaded: list[dataset.Dataset] = []
    threads = [threading.Thread(target=lambda: loaded.append(dataset.load("bank", tmp_path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loaded) == 2
    assert loaded[0] == loaded[1]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank, "simulate", lambda customers: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        dataset.load("bank", tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(dataset.UnknownDatasetError, match="retail, bank"):
        dataset.load("casino", tmp_path)


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
def test_merging_is_a_stable_sort_by_time(tmp_path: Path, small: bank.Simulation, size: int) -> None:
    dataset.write(small.streams[::-1], tmp_path)
    data = dataset.opened("bank", tmp_path)
    naive = [
        (time, source, line)
        for source, stream in enumerate(small.streams[::-1])
        for time, line in zip(
            stream.times_ms.tolist(), (line for lines in stream.lines() for line in lines), strict=True
        )
    ]
    naive.sort(key=lambda event: event[0])
    chunks = list(dataset.merged_chunks(data, size))
    assert all(len(chunk.lines) == size for chunk in chunks[:-1])
    rows = [row for chunk in chunks for row in zip(chunk.times_ms, chunk.sources, chunk.lines, strict=True)]
    assert rows == naive
    names = list(data.sources)
    assert list(dataset.merged(data)) == [(names[source], line) for _, source, line in naive]
