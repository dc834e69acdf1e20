"""What a target's questions mean, in a few digits: they differ where examples of one definition mislead another.

Titles do not count, nor does what only says when something is published. All that a question rests on does: the
target's features with those they are computed from, their sources, the label, and how money and days are counted.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from schemas.catalogue import Catalogue, Cross, Feature, Promotion, Source, Target

FORMAT: Final = 3  # of what a trainer keeps; another one can't be read
DEFINITION_HEADER: Final = "definition"
"""The header of a training example that holds its target's definition."""


class _Meaning(msgspec.Struct, frozen=True):
    """All that a target's questions and answers rest on, as JSON to be hashed."""

    target: Target
    features: tuple[Feature, ...]
    sources: tuple[Source, ...]
    offset_ms: int
    currency: str
    exponent: int


class _Learning(msgspec.Struct, frozen=True):
    """What trainers of a catalogue learn: by target, in order, the definition, the prior and the products."""

    format: int
    definitions: list[str]
    priors: list[float]
    crosses: list[tuple[Cross, ...]]


def definition(catalogue: Catalogue, target: Target) -> str:
    """16 hex digits that change when the target's questions or answers would mean something else."""
    features = _rests_on(catalogue, target)
    label = target.label
    named = {source for feature in features for source in feature.sources} | {*label.absent, label.source}
    named |= {target.example_on.source} if target.example_on is not None else set()
    meaning = _Meaning(
        target=msgspec.structs.replace(target, title={}, refresh_ms=0, prior=0.0, crosses=(), promotion=Promotion()),
        features=tuple(msgspec.structs.replace(feature, title={}) for feature in features),
        sources=tuple(source for source in catalogue.sources if source.name in named),
        offset_ms=catalogue.offset_ms,
        currency=catalogue.currency,
        exponent=catalogue.exponent,
    )
    return hashlib.blake2b(msgspec.json.encode(meaning), digest_size=8).hexdigest()


def learning_fingerprint(catalogue: Catalogue) -> str:
    """32 hex digits that change when what trainers have learned under the catalogue would mislead.

    The targets count together and in order, as that is how they are dealt out: one that is added or moved is a change
    of all.
    """
    found = [definition(catalogue, target) for target in catalogue.targets]
    priors = [target.prior for target in catalogue.targets]
    learning = _Learning(FORMAT, found, priors, [target.crosses for target in catalogue.targets])
    return hashlib.blake2b(msgspec.json.encode(learning), digest_size=16).hexdigest()


def _rests_on(catalogue: Catalogue, target: Target) -> list[Feature]:
    """The target's features and those they are computed from, in the catalogue's order."""
    found, left = set[str](), list(target.features)
    while left:
        feature = catalogue.feature(left.pop())
        if feature.name not in found:
            found.add(feature.name)
            left += feature.rests_on
    return [feature for feature in catalogue.features if feature.name in found]
