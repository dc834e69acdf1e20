"""A replay that learns: the same however records are cut, scored by nothing that was not known, written whole."""

from __future__ import annotations

import functools
import json
import math
import random
from itertools import product
from pathlib import Path
from typing import Final

import msgspec
import pytest
from click.testing import CliRunner

from schemas.catalogue import Catalogue
from schemas.durations import DAY, HOUR, MINUTE
from schemas.learned import LearnedTarget, ScoredExample
from schemas.learning import Pipeline
from schemas.loading import loads
from schemas.records import Cause, Change
from schemas.silence import Stall
from schemas.values import iso
from streams.cli import main
from streams.engine.plan import build
from streams.replay import Record, Replay
from streams.replay_learning import Pupil, Teacher

MIDNIGHT: Final = 1_735_660_800_000  # 2025-01-01T00:00:00+08:00
DAYS: Final = 60
SHORTER: Final = {"within: 30d": "within: 6d", "within: 10d": "within: 4d", "example_every: 7d": "example_every: 1d"}


@functools.cache
def text() -> str:
    """The lessons, over shorter horizons."""
    found = (Path(__file__).parents[1] / "lessons.yaml").read_text(encoding="utf-8")
    for old, new in SHORTER.items():
        found = found.replace(old, new)
    return found


@functools.cache
def catalogue() -> Catalogue:
    return loads(text())


@functools.cache
def records() -> list[Record]:
    """Who looks often buys a deposit soon; a record comes about every twenty minutes, some of them late."""
    draw, now, made = random.Random(5), MIDNIGHT, list[Record]()
    while now < MIDNIGHT + DAYS * DAY:
        now += draw.randrange(1, 40) * MINUTE
        number, at = draw.randrange(20), now - draw.choice([0, 0, 0, HOUR])
        if draw.random() < 0.003 * number:
            value = {"customer": f"c{number}", "at": at, "id": str(len(made)), "amount": 5.0, "kind": "deposit"}
            made.append(Record("buys", msgspec.json.encode(value)))
        elif draw.random() < 0.05 * number:
            made.append(Record("looks", msgspec.json.encode({"customer": f"c{number}", "at": at, "page": "home"})))
    return made


class Learned(msgspec.Struct, frozen=True):
    """What came out of a replay that learns."""

    changes: dict[str, list[Change]]
    scored: list[ScoredExample]
    waiting: list[ScoredExample]
    targets: list[LearnedTarget]


def learned(steps: list[Record | Stall], batch: int, until: int | None = None) -> Learned:
    """Run over them in batches."""
    plan, teacher, changes = build(catalogue()), Teacher(catalogue()), dict[str, list[Change]]()
    pupil = Pupil(plan, teacher)
    run = Replay(plan, part=pupil)
    for output in [*run.all(steps, batch), *([] if until is None else run.advance(until))]:
        for change in output.changes():
            changes.setdefault(change.customer_id, []).append(change)
    models = dict(pupil.models)
    pupil.finish()
    return Learned(changes, teacher.scored, teacher.waiting(), teacher.learned(models))


@functools.cache
def whole() -> Learned:
    """All records at once."""
    return learned([*records()], 10**6)


@pytest.mark.parametrize("batch", [1, 97])
def test_p1_models_examples_and_changes_are_the_same_however_records_are_cut(batch: int) -> None:
    assert learned([*records()], batch) == whole()


def test_a_stall_does_not_show_in_how_records_are_cut() -> None:
    steps: list[Record | Stall] = [*records()]
    steps.insert(len(steps) // 2, Stall("buys", MIDNIGHT + DAYS // 2 * DAY, 0))
    steps.insert(len(steps) * 3 // 4, Stall("buys", None, 0))
    some = learned(steps, 10**6)
    assert learned(steps, 89) == some
    assert some.scored != whole().scored


def test_scores_come_with_the_first_model_at_a_whole_hour_and_are_those_of_the_models_in_force() -> None:
    moved = [change for some in whole().changes.values() for change in some if change.cause is Cause.SCORE]
    assert {change.name for change in moved} >= {"intent", "leaving"}
    assert min(change.at for change in moved) >= iso(MIDNIGHT + 4 * DAY)
    assert all(target.snapshot is not None and target.snapshot.ready for target in whole().targets)
    assert {one.model_version for one in whole().scored} > {0, 1}


def test_an_example_is_scored_before_its_answer_is_known_and_says_what_came() -> None:
    found = whole()
    assert all(one.label_at is not None and one.at < one.label_at for one in found.scored)
    assert all(one.label is None for one in found.waiting)
    late = [one for one in found.scored if one.target == "deposit" and one.at > iso(MIDNIGHT + 30 * DAY)]
    scores = {label: [one.score for one in late if one.label is label] for label in (True, False)}
    assert sum(scores[True]) / len(scores[True]) > 1.2 * sum(scores[False]) / len(scores[False])


def test_the_scores_written_are_those_that_the_trainer_judges_itself_by() -> None:
    teacher = Teacher(catalogue())
    pupil = Pupil(build(catalogue()), teacher)
    for _ in Replay(pupil.plan, part=pupil).all(records(), 10**6):
        pass
    pupil.finish()
    for target, pipeline in product(catalogue().targets, Pipeline):
        progress = teacher.trainer(target.name).judges[pipeline].shown
        assert progress.answers > 100
        in_order = sorted(teacher.scored, key=lambda one: one.at)  # settled at the end of their time, all as long
        mine = [one for one in in_order if one.target == target.name][: progress.answers]
        scores = [one.score if one.model is pipeline else one.challenger_score for one in mine]
        losses = [-math.log(score if one.label else 1 - score) for score, one in zip(scores, mine, strict=True)]
        assert sum(losses) / len(losses) == pytest.approx(progress.log_loss, rel=1e-9)


def test_the_command_writes_examples_and_models_that_others_read(tmp_path: Path) -> None:
    (tmp_path / "lessons.yaml").write_text(text(), encoding="utf-8")
    lines = [json.dumps({"source": one.source, "value": json.loads(one.value or b"")}) for one in records()]
    (tmp_path / "all.ndjson").write_text("\n".join(lines), encoding="utf-8")
    arguments = [
        str(tmp_path / "lessons.yaml"),
        "--input",
        str(tmp_path / "all.ndjson"),
        "--out",
        str(tmp_path / "out"),
    ]
    ran = CliRunner().invoke(main, ["replay", *arguments, "--learn", "--json"])
    assert ran.exit_code == 0, ran.output
    summary = json.loads(ran.stdout)
    examples = [
        msgspec.json.decode(line, type=ScoredExample)
        for line in (tmp_path / "out" / "examples.ndjson").read_bytes().splitlines()
    ]
    assert examples == [*whole().scored, *whole().waiting]
    models = msgspec.json.decode((tmp_path / "out" / "models.json").read_bytes(), type=list[LearnedTarget])
    assert models == whole().targets
    counts = summary["learned"]["deposit"]
    mine = [one for one in examples if one.target == "deposit"]
    assert (counts["questions"], counts["answers"]) == (len(mine), sum(one.label is not None for one in mine))
    assert summary["outcomes"]["deposit"]["answered"] > 0


def test_a_catalogue_without_targets_has_nothing_to_learn(tmp_path: Path) -> None:
    (tmp_path / "all.ndjson").write_text("", encoding="utf-8")
    everything = str(Path(__file__).parents[1] / "everything.yaml")
    arguments = [everything, "--input", str(tmp_path / "all.ndjson"), "--out", str(tmp_path / "out"), "--learn"]
    ran = CliRunner().invoke(main, ["replay", *arguments])
    assert ran.exit_code == 2
    assert "has no targets" in ran.output
