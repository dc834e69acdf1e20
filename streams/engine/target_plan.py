"""A catalogue's targets as tables: what a model takes in, when it is asked, which records answer."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.transform import transforms_of
from schemas.catalogue import Catalogue, Score, Source
from schemas.rules import Expr
from streams.engine.layout import Rows
from streams.engine.tables import CROSS, INPUT, OUTCOME, TARGET


class Condition(msgspec.Struct, frozen=True):
    """What a target asks of a source's records."""

    source: str
    where: Expr


def conditions_of(catalogue: Catalogue) -> list[Condition]:
    """The conditions of targets: on their outcomes and on the records after which they ask."""
    found: list[Condition] = []
    for target in catalogue.targets:
        label, on = target.label, target.example_on
        if label.source is not None and label.where is not None:
            found.append(Condition(label.source, label.where))
        if on is not None and on.where is not None:
            found.append(Condition(on.source, on.where))
    return found


class Targets:
    """The targets of a catalogue, by their index; thresholds of score tags are added as the tags come."""

    def __init__(self, catalogue: Catalogue, rows: Rows, features: dict[str, int]) -> None:
        self._catalogue = catalogue
        self._targets: list[tuple[int, ...]] = []
        self._inputs: list[tuple[float, ...]] = []
        self._outcomes: list[tuple[int, int]] = []
        self._thresholds: list[float] = []
        self._occasions = [(-1, -1)] * len(catalogue.targets)  # (source, where): -1 is any
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
        """The conditions of targets on a source's records."""
        return [one.where for one in conditions_of(self._catalogue) if one.source == source.name]

    def answer(self, source: Source, conditions: list[Expr]) -> tuple[int, int]:
        """Note after which of a source's records targets ask, and which they answer; (start, end) among the outcomes.

        Parameters
        ----------
        conditions
            The source's, in the order in which the kernel decides them.
        """
        first = len(self._outcomes)
        for index, target in enumerate(self._catalogue.targets):
            label, on = target.label, target.example_on
            if on is not None and on.source == source.name:
                number = self._catalogue.sources.index(source)
                self._occasions[index] = number, -1 if on.where is None else conditions.index(on.where)
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
            np.array([(*one, *on) for one, on in zip(self._targets, self._occasions, strict=True)], dtype=TARGET),
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
