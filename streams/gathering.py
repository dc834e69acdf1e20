"""Making one thing for all workers of what every partition counted, and following it, over the control topic.

Cut-points are made so of populations, and parameters of lifetime models of samples. Each partition puts its part there;
the worker that has partition 0 makes the whole of the newest parts and puts it there; all workers go by it.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec

from schemas.lifetime import Fit, Sample
from schemas.population import CutPoints, Population

WAIT_S: Final = 30.0
"""How long a maker waits for the partitions that have not counted yet; then it takes what they counted before."""

log = logging.getLogger("livetags")


class Cut(msgspec.Struct, frozen=True):
    """Cut-points or parameters, and their offset on the control topic."""

    points: CutPoints | Fit
    offset: int


Part = TypeVar("Part", Population, Sample)
Made = TypeVar("Made", CutPoints, Fit)


class Maker(ABC, Generic[Part, Made]):
    """Makes the whole of the newest part of every partition.

    Parameters
    ----------
    definitions
        What is counted, by name; parts and wholes of another definition are passed over.
    together
        Whether partitions come to a refresh at about the same time, as by the wall's clock, so that one is waited for.
        By their records' times each has a pace of its own: then what every partition counted last is taken.
    """

    def __init__(self, definitions: Mapping[str, str], together: bool) -> None:
        self.definitions = dict(definitions)
        self._together = together
        self._parts: dict[str, dict[int, Part]] = {name: {} for name in definitions}
        self._newest: dict[str, Made] = {}
        self._since: dict[str, float] = {}

    @abstractmethod
    def _made(self, name: str, parts: Sequence[Part], held: Made | None) -> Made | None:
        """What is to be in force from now on; None: what is `held`. It touches nothing, so any thread may call it."""

    def take(self, part: Part, now_s: float = 0.0) -> None:
        """Note what a partition counted; `now_s` is any clock that goes on."""
        if self.definitions.get(part.name) != part.definition:
            return
        known = self._parts[part.name]
        if any(one.partitions != part.partitions for one in known.values()):
            known.clear()
        known[part.partition] = part
        self._since.setdefault(part.name, now_s)

    def drop(self, name: str, partition: int) -> None:
        """Forget what a partition counted."""
        self._parts[name].pop(partition, None)

    def know(self, made: Made) -> None:
        """Note what is in force."""
        if self.definitions.get(made.name) == made.definition:
            held = self._newest.get(made.name)
            if held is None or made.version >= held.version:
                self._newest[made.name] = made

    def at_once(self, parts: Sequence[Part]) -> list[Made]:
        """What follows right from what was counted."""
        for part in parts:
            self.take(part)
        return self.make()

    def make(self, now_s: float = 0.0) -> list[Made]:
        """What is to be in force from now on."""
        found = [made for work in self.works(now_s) if (made := work()) is not None]
        for made in found:
            self.know(made)
        return found

    def works(self, now_s: float) -> list[Callable[[], Made | None]]:
        """What `make` would do, as calls that may be made elsewhere; what they give is to be told to `know`."""
        return [self._work(name) for name in self.definitions if self._is_ready(name, now_s)]

    def _work(self, name: str) -> Callable[[], Made | None]:
        del self._since[name]
        parts, held = [part for _, part in sorted(self._parts[name].items())], self._newest.get(name)
        return lambda: self._made(name, parts, held)

    def _is_ready(self, name: str, now_s: float) -> bool:
        """Whether something new was counted, by all partitions for the same refresh or else some time ago."""
        if name not in self._since:
            return False
        known = list(self._parts[name].values())
        newest = max((one.at for one in known), default=0)
        done = [one for one in known if one.at == newest or not self._together]
        return (bool(done) and len(done) == done[0].partitions) or now_s - self._since[name] >= WAIT_S


class Agreed(Protocol):
    """The control topic: `streams.control.Control`."""

    @property
    def is_caught_up(self) -> bool:
        """Whether all that was there at the start has been read."""

    def put(self, key: str, value: bytes | None) -> None:
        """Have that value under that key."""


class Kinds(msgspec.Struct, frozen=True):
    """The types of parts and wholes, and the keys under which an app's stand on the control topic.

    `check` raises ValueError where a part can be none.
    """

    part: type[Any]
    made: type[Any]
    part_key: Callable[[str, str, int], str]
    made_key: Callable[[str, str], str]
    check: Callable[[Any], None]


class Follower(Generic[Part, Made]):
    """Parts and wholes of an app as the control topic has them; one of all workers makes."""

    def __init__(self, maker: Maker[Part, Made], kinds: Kinds, group: str) -> None:
        self.merger: Maker[Part, Made] = maker
        self._kinds, self._group = kinds, group
        self._made = {kinds.made_key(group, name): name for name in maker.definitions}
        self._parts = {kinds.part_key(group, name, 0)[:-1]: name for name in maker.definitions}
        self._held: dict[str, Cut] = {}
        self._now_s = 0.0
        self._tell: Callable[[Cut], None] | None = None
        self._control: Agreed | None = None

    def follow(self, control: Agreed, tell: Callable[[Cut], None]) -> None:
        """Write to `control`, and have `tell` called with all that is new."""
        self._control, self._tell = control, tell

    def on_record(self, key: str, value: bytes | None, offset: int) -> None:
        """Take a record of the control topic; what can't be read is left out, and said."""
        prefix, _, partition = key.rpartition("/")
        try:
            if key in self._made:
                self._on_made(self._made[key], value, offset)
            elif f"{prefix}/" in self._parts:
                self._on_part(self._parts[f"{prefix}/"], partition, value)
        except (msgspec.MsgspecError, ValueError) as error:
            log.warning("what is under %s at control offset %d can't be read: %s", key, offset, error)

    def _on_made(self, name: str, value: bytes | None, offset: int) -> None:
        if value is None:
            self._held.pop(name, None)
            return
        made: Made = msgspec.json.decode(value, type=self._kinds.made)
        self.merger.know(made)
        self._held[name] = cut = Cut(points=made, offset=offset)
        if self._tell is not None:
            self._tell(cut)

    def _on_part(self, name: str, partition: str, value: bytes | None) -> None:
        if value is None:
            self.merger.drop(name, int(partition))
            return
        part: Part = msgspec.json.decode(value, type=self._kinds.part)
        self._kinds.check(part)
        self.merger.take(part, self._now_s)

    def held(self) -> list[Cut]:
        """What is in force."""
        return list(self._held.values())

    def publish(self, parts: Sequence[Part]) -> None:
        """Tell all workers what partitions of this one counted."""
        for one in parts:
            if self._control is not None:
                key = self._kinds.part_key(self._group, one.name, one.partition)
                self._control.put(key, msgspec.json.encode(one))

    def tick(self, makes: bool, now_s: float) -> None:
        """To be called about once a second; `makes` where it is this worker that does."""
        for work in self._works(makes, now_s):
            self._put(work())

    async def tick_aside(self, makes: bool, now_s: float) -> None:
        """The same where making takes so long that a thread of its own has to do it."""
        for work in self._works(makes, now_s):
            self._put(await asyncio.to_thread(work))

    def _works(self, makes: bool, now_s: float) -> list[Callable[[], Made | None]]:
        self._now_s = now_s
        if not makes or self._control is None or not self._control.is_caught_up:
            return []
        return self.merger.works(now_s)

    def _put(self, made: Made | None) -> None:
        if made is not None and self._control is not None:
            self.merger.know(made)
            self._control.put(self._kinds.made_key(self._group, made.name), msgspec.json.encode(made))
