"""The tables that the kernel reads: a catalogue as numbers, and the models in force."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray


class FeatureKind(IntEnum):
    """How a feature is read from its stores."""

    TILES, MEAN, DAYS, DISTINCT, TOP, STORED, SINCE, COMPUTE = 0, 1, 2, 3, 4, 5, 6, 7


class RuleKind(IntEnum):
    """How a tag or segment is decided."""

    WHEN, LEVELS, CATEGORY, SCORE, QUANTILE, CODE = 0, 1, 2, 3, 4, 5


FEATURE: Final = np.dtype(
    [
        ("kind", "i8"),
        ("store", "i8"),
        ("counts", "i8"),
        ("scale", "f8"),
        ("start", "i8"),
        ("end", "i8"),
        ("live", "i8"),
        ("group", "i8"),
    ]
)
RULE: Final = np.dtype(
    [
        ("kind", "i8"),
        ("said", "i8"),
        ("hold", "i8"),
        ("start", "i8"),
        ("end", "i8"),
        ("because", "i8"),
        ("because_end", "i8"),
        ("target", "i8"),
        ("margin", "f8"),
    ]
)
TARGET: Final = np.dtype([("inputs", "i8"), ("inputs_end", "i8"), ("asked", "i8"), ("every", "i8"), ("absent", "i8")])
INPUT: Final = np.dtype([("register", "i8"), ("kind", "i8"), ("scale", "f8")])
OUTCOME: Final = np.dtype([("target", "i8"), ("where", "i8")])
CROSS: Final = np.dtype([("first", "i8"), ("second", "i8")])
QUANTILE: Final = np.dtype(
    [
        ("rule", "i8"),
        ("register", "i8"),
        ("stored", "i8"),
        ("falling", "i8"),
        ("start", "i8"),
        ("end", "i8"),
        ("missing", "i8"),
        ("cuts", "i8"),
    ]
)
SINCE: Final = np.dtype([("stored", "i8"), ("after", "i8"), ("group", "i8")])
GROUP: Final = np.dtype([("stood", "i8"), ("sources", "i8")])


class Tables(NamedTuple):
    """What the kernel reads of a catalogue; every array is data, none is compiled in.

    `windows` are the distinct pairs of tile width and number, with the stores of each in `window_stores`. `steps` are
    packed (`pack`). `fields` holds each column's divisor (0 for a double by bits) from `field_starts[source]` on;
    `levels` holds the programs of level tags, an empty one for `otherwise`; `because` holds registers; `inputs` are
    those of the targets' models; `thresholds` fall from level to level of score tags; `scores` are their rules;
    `crosses` are pairs of inputs, a target's from `cross_starts[target]` on; `groups` are the sets of sources that
    features count, as bits, each with the row's word that says at which moment it stands; `quantiles` say of each
    quantile tag its feature's register, where a time since is stored (-1: it is none), the program of who is counted
    (an empty one: all), and how many cut-points it has.
    """

    offset_ms: int
    windows: NDArray[Any]
    window_stores: NDArray[np.int64]
    sources: NDArray[Any]
    stores: NDArray[Any]
    uses: NDArray[Any]
    wheres: NDArray[Any]
    fields: NDArray[np.float64]
    field_starts: NDArray[np.int64]
    features: NDArray[Any]
    rules: NDArray[Any]
    levels: NDArray[Any]
    because: NDArray[np.int64]
    sinces: NDArray[Any]
    targets: NDArray[Any]
    inputs: NDArray[Any]
    crosses: NDArray[Any]
    cross_starts: NDArray[np.int64]
    outcomes: NDArray[Any]
    thresholds: NDArray[np.float64]
    scores: NDArray[np.int64]
    groups: NDArray[Any]
    quantiles: NDArray[Any]
    steps: NDArray[np.int64]
    constants: NDArray[np.float64]


class Models(NamedTuple):
    """The models in force, folded: a target's score is 1 / (1 + exp(-(bias + sum(weights * inputs) + crosses))).

    `weights` and `means` go with `Tables.inputs`; a missing input counts as its mean. A target whose `ready` is false
    has no model yet. Where `crossed` is true, `cross_weights` go with `Tables.crosses`, and `inverses` with the inputs:
    1 / standard deviation, 0 where there is none; `scaled` is room for the inputs so scaled.
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    bias: NDArray[np.float64]
    ready: NDArray[np.bool_]
    crossed: NDArray[np.bool_]
    cross_weights: NDArray[np.float64]
    inverses: NDArray[np.float64]
    scaled: NDArray[np.float64]


def no_models(tables: Tables) -> Models:
    """Where nothing was learned yet."""
    inputs, targets = len(tables.inputs), len(tables.targets)
    return Models(
        weights=np.zeros(inputs),
        means=np.zeros(inputs),
        bias=np.zeros(targets),
        ready=np.zeros(targets, dtype=np.bool_),
        crossed=np.zeros(targets, dtype=np.bool_),
        cross_weights=np.zeros(len(tables.crosses)),
        inverses=np.zeros(inputs),
        scaled=np.zeros(inputs),
    )
