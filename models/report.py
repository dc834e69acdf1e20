"""All that there is to see of a target's models, as the trainer knows it."""

from __future__ import annotations

from models.learner import Learner
from models.state import SeriesState
from models.trainer import Trainer
from models.transform import Transform, usual_value
from models.weeks import qualities
from schemas.catalogue import Catalogue
from schemas.durations import DAY
from schemas.learning import Pipeline
from schemas.model_reports import (
    Cohort,
    CrossedWeight,
    FeatureWeight,
    ModelReport,
    ModelRole,
    Series,
    Standing,
    Watched,
)
from schemas.values import iso


def report(catalogue: Catalogue, trainer: Trainer) -> ModelReport:
    """A target's report as of the newest example."""
    choosing, weeks = trainer.choosing, trainer.weeks
    roles = {choosing.champion: ModelRole.CHAMPION, choosing.challenger: ModelRole.CHALLENGER}
    return ModelReport(
        target=trainer.target.name,
        at=iso(trainer.now),
        version=trainer.version,
        ready=trainer.ready,
        pinned=choosing.desk.pinned,
        waiting=trainer.waiting,
        settling=trainer.settling,
        models=[_standing(catalogue, trainer, pipeline, role) for pipeline, role in roles.items()],
        trial=choosing.report(),
        automatic=trainer.target.promotion.automatic,
        watched=[_watched(*level, catalogue.offset_ms) for level in trainer.watch.levels()],
        weeks=[Cohort(iso(weeks.begins(number)), week.asked, qualities(week)) for number, week in weeks.all()],
        formers=choosing.formers(),
    )


def _standing(catalogue: Catalogue, trainer: Trainer, pipeline: Pipeline, role: ModelRole) -> Standing:
    judge, learner = trainer.judges[pipeline], trainer.learner
    weights = learner.weights(pipeline)
    features = [
        _weight(catalogue, learner, how, weight)
        for how, weight in zip(trainer.transforms, weights[: len(learner.features)], strict=True)
    ]
    crossed = zip(learner.crosses, weights[len(learner.features) :], strict=False)
    return Standing(
        model=pipeline,
        role=role,
        raw=judge.raw_quality(),
        shown=judge.quality(),
        calibration=judge.reliability.calibration,
        deciles=judge.shown.deciles(),
        weights=features,
        crosses=[CrossedWeight(cross.first, cross.second, weight) for cross, weight in crossed],
    )


def _weight(catalogue: Catalogue, learner: Learner, how: Transform, weight: float) -> FeatureWeight:
    unit, mean, spread = catalogue.feature(how.feature).unit, learner.mean(how.feature), learner.spread(how.feature)
    return FeatureWeight(
        feature=how.feature,
        unit=unit,
        weight=weight if spread else 0.0,
        usual=usual_value(unit, how, mean),
        higher=usual_value(unit, how, mean + spread),
    )


def _watched(series: Series, feature: str, kept: SeriesState, offset_ms: int) -> Watched:
    changed = None if kept.changed is None else iso(kept.changed * DAY - offset_ms)
    mean, latest = (kept.mean_of(kept.means), kept.means[-1]) if kept.means else (None, None)
    return Watched(series, feature, len(kept.days), mean, latest, changed)
