"""`python -m bench.journey_models`: who redeems a coupon within 30 days, on real data, beside LightGBM.

The Complete Journey year is replayed and learned (`livetags replay --learn`), so that every example bears the score it
got when it was asked. LightGBM gets the same features: it is trained at each month's beginning on all examples whose
time was over by then, and scores those of the month. Both are judged on the same examples; intervals are of a bootstrap
over households, as a household's examples are not independent. Needs `pip install 'livetags[demo,bench]'`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import numpy as np
from numpy.typing import NDArray

from models.evaluation import auc
from schemas.durations import DAY
from schemas.learned import ScoredExample
from schemas.learning import Pipeline
from schemas.loading import load
from schemas.values import to_ms
from streams.scored_examples import over_until, read_examples

CATALOGUE: Final = Path(__file__).parents[1] / "schemas" / "retail.yaml"
TARGET: Final = "redemption"
LEAST_POSITIVES: Final = 50  # before LightGBM is trained at all
ROUNDS: Final = 200
CHUNK: Final = 65_536
WEEK: Final = 7 * DAY
PARAMETERS: Final = {
    "objective": "binary", "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 50, "feature_fraction": 0.8,
    "bagging_fraction": 0.8, "bagging_freq": 1, "seed": 1, "deterministic": True, "verbosity": -1,
}  # fmt: skip

Scores = NDArray[np.float64]


class Table(msgspec.Struct, frozen=True):
    """Examples with an answer, by the time they were asked; columns of the same length.

    Attributes
    ----------
    months
        `2017-03` and so on.
    features
        Shape (n, features); NaN is missing.
    scores
        By who gave them.
    """

    households: NDArray[np.int64]
    asked_ms: NDArray[np.int64]
    months: list[str]
    features: NDArray[np.float64]
    labels: NDArray[np.bool_]
    scores: dict[str, Scores]


@click.command()
@click.option("--cache", type=click.Path(file_okay=False, path_type=Path), default=Path(".livetags"), show_default=True)
@click.option("--examples", type=click.Path(exists=True, path_type=Path), help="An examples.ndjson of the same replay.")
@click.option("--resamples", default=1_000, show_default=True)
def main(cache: Path, examples: Path | None, resamples: int) -> None:
    """Print the table."""
    target = next(one for one in load(CATALOGUE).targets if one.name == TARGET)
    found = table(read_examples(examples) if examples is not None else replayed(cache))
    boosted = monthly(found, target.label.settled_ms)
    judged = ~np.isnan(boosted)
    scores = {name: some[judged] for name, some in found.scores.items()} | {"LightGBM": boosted[judged]}
    labels, households = found.labels[judged], found.households[judged]
    months = [month for month, used in zip(found.months, judged.tolist(), strict=True) if used]
    click.echo(f"{'':<10} examples redeemed  " + "  ".join(f"{name:>24}" for name in scores))
    for month, places in groupby(range(len(months)), key=months.__getitem__):
        part = np.fromiter(places, np.int64)
        _line(month, labels[part], [_figure(auc(some[part], labels[part])) for some in scores.values()])
    weeks = found.asked_ms[judged] // WEEK
    for name, strata in (("all", np.zeros_like(weeks)), ("in a week", weeks)):
        ranked = [Ranked.of(some, strata) for some in scores.values()]
        drawn = bootstrap(ranked, labels, households, resamples)
        whole = [one.auc(labels, np.ones(len(labels))) for one in ranked]
        _line(name, labels, [_interval(value, drawn[:, n]) for n, value in enumerate(whole)])
        gaps = [_interval(value - whole[-1], drawn[:, n] - drawn[:, -1]) for n, value in enumerate(whole)]
        _line("less GBM", labels, gaps[:-1])


def replayed(cache: Path) -> list[ScoredExample]:
    """Every example of the year."""
    from streams.demo.dataset import load as dataset
    from streams.demo.dataset import merged_chunks
    from streams.engine.plan import build
    from streams.replay import Record, Replay
    from streams.replay_learning import Pupil, Teacher

    catalogue, data = load(CATALOGUE), dataset("retail", cache)
    teacher, names = Teacher(catalogue), list(data.sources)

    def records() -> Iterator[Record]:
        for chunk in merged_chunks(data, CHUNK):
            yield from (Record(names[n], line) for n, line in zip(chunk.sources, chunk.lines, strict=True))

    plan = build(catalogue)
    pupil = Pupil(plan, teacher)
    for _ in Replay(plan, part=pupil).all(records(), 8_192):
        pass
    pupil.finish()
    return [*teacher.scored, *teacher.waiting()]


def table(examples: Iterable[ScoredExample]) -> Table:
    """The target's examples whose time is over as columns."""
    mine = [one for one in examples if one.target == TARGET]
    until = over_until(mine)
    known = sorted((one for one in mine if one.at < until), key=lambda one: (one.at, one.customer_id))
    moments = [datetime.fromisoformat(one.at).astimezone(UTC) for one in known]
    by_model = {
        f"livetags, {name}": np.array([one.score if one.model is name else one.challenger_score for one in known])
        for name in Pipeline
    }
    shown = np.array([one.score for one in known])
    return Table(
        households=np.unique([one.customer_id for one in known], return_inverse=True)[1].astype(np.int64),
        asked_ms=np.array([to_ms(moment) for moment in moments], dtype=np.int64),
        months=[f"{moment:%Y-%m}" for moment in moments],
        features=np.array([[_number(value) for value in one.features.values()] for one in known]),
        labels=np.array([one.label for one in known], dtype=np.bool_),
        scores={"livetags, as shown": shown, **by_model},
    )


def monthly(found: Table, settled_ms: int) -> Scores:
    """LightGBM's scores of each month's examples, trained on what was over before it; NaN before it could be."""
    import lightgbm

    scores = np.full(len(found.labels), np.nan)
    for month, places in groupby(range(len(found.months)), key=found.months.__getitem__):
        part = np.fromiter(places, np.int64)
        begins = to_ms(datetime.fromisoformat(f"{month}-01T00:00:00+00:00"))
        past = found.asked_ms + settled_ms <= begins
        if found.labels[past].sum() < LEAST_POSITIVES:
            continue
        data = lightgbm.Dataset(found.features[past], found.labels[past].astype(np.float64))
        scores[part] = lightgbm.train(PARAMETERS, data, ROUNDS).predict(found.features[part])
    return scores


class Ranked(msgspec.Struct, frozen=True):
    """Scores by their rank, to be compared within strata only.

    Attributes
    ----------
    places
        Rank of each example's stratum and, within it, score; ties have one rank.
    begins, ends
        For each rank the first of its stratum, and the one after its last.
    """

    places: NDArray[np.intp]
    begins: NDArray[np.intp]
    ends: NDArray[np.intp]

    @classmethod
    def of(cls, scores: Scores, strata: NDArray[np.int64]) -> Ranked:
        """Those of scores, shape (n,)."""
        pairs, places = np.unique(np.column_stack([strata.astype(np.float64), scores]), axis=0, return_inverse=True)
        stratum = pairs[:, 0]
        return cls(places.ravel(), np.searchsorted(stratum, stratum), np.searchsorted(stratum, stratum, "right"))

    def auc(self, labels: NDArray[np.bool_], weights: NDArray[np.float64]) -> float:
        """Probability that a positive ranks above a negative of its stratum; each example counts `weights` times."""
        won, lost = (np.bincount(self.places, weights * some) for some in (labels, ~labels))
        before = np.concatenate([[0.0], np.cumsum(lost)])
        below, there = before[:-1] - before[self.begins], before[self.ends] - before[self.begins]
        return float(np.sum(won * (below + lost / 2.0)) / np.sum(won * there))


def bootstrap(
    ranked: Sequence[Ranked], labels: NDArray[np.bool_], households: NDArray[np.int64], resamples: int
) -> NDArray[np.float64]:
    """AUC of each over households drawn with replacement, shape (resamples, scores)."""
    draw, count = np.random.default_rng(2017), int(households.max()) + 1
    there = np.unique(households)
    drawn = np.zeros((resamples, len(ranked)))
    for row in drawn:
        times = np.zeros(count)
        times[there] = draw.multinomial(len(there), np.full(len(there), 1.0 / len(there)))
        weights = times[households]
        row[:] = [one.auc(labels, weights) for one in ranked]
    return drawn


def _number(value: Any) -> float:
    return np.nan if value is None else float(value)


def _interval(value: float | None, drawn: NDArray[np.float64]) -> str:
    low, high = np.quantile(drawn, (0.025, 0.975))
    return f"{_figure(value)} ({low:.4f} to {high:.4f})"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _line(name: str, labels: NDArray[np.bool_], figures: Sequence[str]) -> None:
    click.echo(f"{name:<10} {len(labels):>8,} {int(labels.sum()):>8,}  " + "  ".join(f"{one:>24}" for one in figures))


if __name__ == "__main__":
    main()
