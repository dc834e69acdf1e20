"""What each feature adds to a score, in the units people read, from a model's snapshot and a customer's features."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal

from models.snapshot import contributions, probability
from models.transform import Transform, transformed, transforms_of, usual_value
from schemas.catalogue import Catalogue, Cross, Feature, Score, Target, Unit
from schemas.explanations import Contribution, ScoreExplanation
from schemas.learning import ModelSnapshot
from schemas.records import Value


class SnapshotMismatch(ValueError):
    """A model whose target or features are not the catalogue's."""


def explain_scores(
    catalogue: Catalogue, snapshots: Sequence[ModelSnapshot], values: Mapping[str, Value]
) -> list[ScoreExplanation]:
    """The scores of the targets that have a model, in the catalogue's order; of several the latest version counts.

    Parameters
    ----------
    values
        The customer's features as JSON, by name; what is not there is missing.

    Raises
    ------
    SnapshotMismatch
        Where a model is not of this catalogue.
    """
    latest = {one.target: one for one in sorted(snapshots, key=lambda one: one.version)}
    return [
        explain_score(catalogue, latest[target.name], values) for target in catalogue.targets if target.name in latest
    ]


def explain_score(catalogue: Catalogue, model: ModelSnapshot, values: Mapping[str, Value]) -> ScoreExplanation:
    """One target's score; arguments and errors as of `explain_scores`."""
    target = _target(catalogue, model)
    features, transforms = [catalogue.feature(name) for name in model.features], transforms_of(catalogue, target)
    given = [input_of(f, how, values.get(f.name)) for f, how in zip(features, transforms, strict=True)]
    parts = contributions(model, given)
    return ScoreExplanation(
        target=target.name,
        title=target.title,
        tags=[tag.name for tag in catalogue.tags if isinstance(tag.rule, Score) and tag.rule.target == target.name],
        probability=probability(parts.logit),
        logit=parts.logit,
        rest=parts.baseline,
        usual_probability=probability(parts.baseline),
        version=model.version,
        ready=model.ready,
        contributions=[
            Contribution(
                f.name, f.title, f.unit, values.get(f.name), usual_value(f.unit, how, mean), parts.by_feature[f.name]
            )
            for f, how, mean in zip(features, transforms, model.means, strict=True)
        ],
    )


def input_of(feature: Feature, how: Transform, value: Value) -> float:
    """What the model is given of a value as JSON; NaN is missing."""
    if value is None:
        return math.nan
    number = Decimal(value) if isinstance(value, str) else Decimal(float(value))
    # JSON has money in major units, the engine and so the transform in minor ones.
    raw = number * int(how.scale) if feature.unit is Unit.MONEY else number
    return transformed(float(raw), how.kind, how.scale)


def _target(catalogue: Catalogue, model: ModelSnapshot) -> Target:
    target = next((one for one in catalogue.targets if one.name == model.target), None)
    if target is None:
        raise SnapshotMismatch(f"the catalogue has no target {model.target!r}, of which there is a model")
    crosses = tuple(Cross(one.first, one.second) for one in model.crosses)
    if tuple(model.features) != target.features or (crosses and crosses != target.crosses):
        raise SnapshotMismatch(f"the model of {target.name!r} has learned from other features than the catalogue names")
    return target
