"""A catalogue's targets as tables: what a model takes in, when it is asked, which records answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.transform import transforms_of
from schemas.catalogue import Catalogue, Score, Source
from schemas.rules import Expr
from streams.engine.layout import Rows
from streams.engine.tables import CROSS, INPUT, OUTCOME, TARGET


class Targets:
    """The targets of a catalogue, by their index; thresholds of score tags are added as the tags come."""

    def __init__(self, catalogue: Catalogue, rows: Rows, features: dict[str, int]) -> None:
        self._catalogue = catalogue
        self._targets: list[tuple[int, ...]] = []
        self._inputs: list[tuple[float, ...]] = []
        self._outcomes: list[tuple[int, int]] = []
        self._thresholds: list[float] = []
        for target in catalogue.targets:
            first = len(self._inputs)
            transforms = transforms_of(catalogue, target)
            self._inputs += [(features[one.feature], int(one.kind), one.scale) for one in transforms]
            asked, absent = rows.targets[target.name], bool(target.label.absent)
            self._targets.append((first, len(self._inputs), asked, target.example_every_ms, absent))
        self._indices = {target.name: index for index, target in enumerate(catalogue.targets)}

    def features(self) -> set[str]:
        """The features that models take in."""
        return {name for target in self._catalogue.targets for name in target.features}

    def wheres(self, source: Source) -> list[Expr]:
        """The conditions of labels on a source's records."""
        labels = [target.label for target in self._catalogue.targets]
        return [label.where for label in labels if label.source == source.name and label.where is not None]

    def answer(self, source: Source, conditions: list[Expr]) -> tuple[int, int]:
        """Note which targets a source's records answer; the (start, end) among the outcomes.

        Parameters
        ----------
        conditions
            The source's, in the order in which the kernel decides them.
        """
        first = len(self._outcomes)
        for index, target in enumerate(self._catalogue.targets):
            label = target.label
            if source.name in label.absent:
                self._outcomes.append((index, -1))
            elif label.source == source.name:
                self._outcomes.append((index, -1 if label.where is None else conditions.index(label.where)))
        return first, len(self._outcomes)

    def levels(self, score: Score) -> tuple[int, int, int]:
        """Note a score tag's thresholds; its (start, end) among them and its target's index."""
        first = len(self._thresholds)
        self._thresholds += score.thresholds
        return first, len(self._thresholds), self._indices[score.target]

    def tables(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[np.float64]]:
        """Targets, inputs, outcomes, thresholds."""
        return (
            np.array(self._targets, dtype=TARGET),
            np.array(self._inputs, dtype=INPUT),
            np.array(self._outcomes, dtype=OUTCOME),
            np.array(self._thresholds, dtype=np.float64),
        )


def crosses_of(catalogue: Catalogue) -> NDArray[Any]:
    """The products of all targets' crossed models, as places among the inputs of all."""
    found, first = list[tuple[int, int]](), 0
    for target in catalogue.targets:
        places = {name: first + place for place, name in enumerate(target.features)}
        found += [(places[cross.first], places[cross.second]) for cross in target.crosses]
        first += len(target.features)
    return np.array(found, dtype=CROSS)


def cross_starts_of(catalogue: Catalogue) -> NDArray[np.int64]:
    """Where each target's products begin among those of all, and the end of the last."""
    return np.cumsum([0, *(len(target.crosses) for target in catalogue.targets)], dtype=np.int64)
