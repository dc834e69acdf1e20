"""The models in force, as they come on the control topic."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from schemas.catalogue import Catalogue, Cross, Target
from schemas.learning import ModelSnapshot, model_key
from streams.engine.plan import Plan
from streams.engine.tables import Models as Folded

log = logging.getLogger("livetags")


class Model(msgspec.Struct, frozen=True):
    """A target's snapshot and its offset on the control topic; None where the model was withdrawn."""

    target: str
    snapshot: ModelSnapshot | None
    offset: int


def take_in(plan: Plan, folded: Folded, held: dict[str, ModelSnapshot], snapshot: ModelSnapshot) -> bool:
    """Fold a model into those that the kernel reads, where it is another one that may be shown; whether it is.

    Parameters
    ----------
    held
        The snapshots in force by target; this one is put among them.
    """
    names = [target.name for target in plan.catalogue.targets]
    if snapshot.target not in names or not snapshot.ready or held.get(snapshot.target) == snapshot:
        return False
    index = names.index(snapshot.target)
    if not fits(plan.catalogue.targets[index], snapshot):
        return False
    first, end = plan.tables.targets[index][["inputs", "inputs_end"]].tolist()
    start, stop = plan.tables.cross_starts[index : index + 2].tolist()
    folded.crossed[index] = bool(snapshot.crosses)
    if snapshot.crosses:
        folded.inverses[first:end] = [1.0 / spread if spread else 0.0 for spread in snapshot.spreads]
        folded.cross_weights[start:stop] = [cross.weight for cross in snapshot.crosses]
    folded.weights[first:end], folded.means[first:end] = snapshot.weights, snapshot.means
    folded.bias[index], folded.ready[index] = snapshot.bias, True
    held[snapshot.target] = snapshot
    return True


def fits(target: Target, snapshot: ModelSnapshot) -> bool:
    """Whether a model takes in what the catalogue's target names: its features, and its products or none."""
    crosses = tuple(Cross(one.first, one.second) for one in snapshot.crosses)
    return tuple(snapshot.features) == target.features and (not crosses or crosses == target.crosses)


class Models:
    """The newest model of every target of an app."""

    def __init__(self, catalogue: Catalogue, group: str) -> None:
        self._targets = {model_key(group, target.name): target for target in catalogue.targets}
        self._held: dict[str, Model] = {}
        self._tell: Callable[[Model], None] | None = None

    def follow(self, tell: Callable[[Model], None]) -> None:
        """Have `tell` called with every new model."""
        self._tell = tell

    def held(self) -> list[Model]:
        """The models in force."""
        return list(self._held.values())

    def on_record(self, key: str, value: bytes | None, offset: int) -> None:
        """Take a record of the control topic; one that is no model of this catalogue is left out, and said.

        Where a trainer that begins anew withdraws its model (None), scores stay what they are until its next one.
        """
        target = self._targets.get(key)
        if target is None:
            return
        if value is None:
            self._held.pop(target.name, None)
            self._say(Model(target.name, None, offset))
            return
        try:
            snapshot = msgspec.json.decode(value, type=ModelSnapshot)
        except msgspec.MsgspecError as error:
            log.warning("the model of %s at control offset %d can't be read: %s", target.name, offset, error)
            return
        if not fits(target, snapshot):
            log.warning("the model of %s at control offset %d is of other features: not used", target.name, offset)
            return
        self._held[target.name] = model = Model(target.name, snapshot, offset)
        self._say(model)

    def snapshots(self) -> list[ModelSnapshot]:
        """The same without their places."""
        return [model.snapshot for model in self._held.values() if model.snapshot is not None]

    def _say(self, model: Model) -> None:
        if self._tell is not None:
            self._tell(model)
