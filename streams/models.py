"""The models in force, as they come on the control topic."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from schemas.catalogue import Catalogue
from schemas.learning import ModelSnapshot, model_key

log = logging.getLogger("livetags")


class Model(msgspec.Struct, frozen=True):
    """A snapshot and its offset on the control topic."""

    snapshot: ModelSnapshot
    offset: int


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
        """Take a record of the control topic; one that is no model of this catalogue is left out, and said."""
        target = self._targets.get(key)
        if target is None or value is None:
            return
        try:
            snapshot = msgspec.json.decode(value, type=ModelSnapshot)
        except msgspec.MsgspecError as error:
            log.warning("the model of %s at control offset %d can't be read: %s", target.name, offset, error)
            return
        if tuple(snapshot.features) != target.features:
            log.warning("the model of %s at control offset %d is of other features: not used", target.name, offset)
            return
        self._held[target.name] = model = Model(snapshot, offset)
        if self._tell is not None:
            self._tell(model)
