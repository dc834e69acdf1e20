"""The models of a running system, seen and ordered about through the broker alone: no trainer or worker is asked."""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

import msgspec

from schemas.catalogue import Catalogue
from schemas.learning import Pipeline
from schemas.model_reports import ModelEvent, ModelOrder, ModelReport, Order, order_key
from schemas.topics import Role
from schemas.values import iso
from streams.broker import BrokerError
from streams.cluster import Admin
from streams.config import Settings, wall_ms
from streams.control import Control, read_whole
from streams.model_follower import Reports

READ_WITHIN_S: Final = 20.0
FOLLOWED_WITHIN_S: Final = 15.0


class Desk(msgspec.Struct, frozen=True):
    """Where the models of an app are to be found; `events` is None where no trainer has made that topic."""

    address: str
    embedded: bool
    group: str
    control: str
    events: str | None


def find(settings: Settings, catalogue: Catalogue) -> Desk:
    """The desk of a catalogue's models; blocking.

    Raises
    ------
    BrokerError
        No broker answers, or nothing of the app was ever there.
    """
    control, events = (settings.topic_prefix + role.value for role in (Role.CONTROL, Role.MODEL_EVENTS))
    with Admin(settings.broker) as admin:
        found, embedded = admin.describe([control, events]), admin.embedded()
    if control not in found:
        raise BrokerError(f"there is no topic {control!r} on {settings.broker}: no worker or trainer has run there")
    group = settings.group(catalogue.name)
    return Desk(settings.broker, embedded, group, control, events if events in found else None)


async def reports(desk: Desk, catalogue: Catalogue) -> list[ModelReport]:
    """What trainers last said of their models.

    Raises
    ------
    BrokerError
        The broker did not tell in time.
    """
    found = Reports(catalogue, desk.group)
    for key, value in (await _whole(desk, desk.control)).items():
        found.on_record(key, value)
    return list(found.held().values())


async def events(desk: Desk, target: str) -> list[ModelEvent]:
    """What was decided about a target's models, the oldest first.

    Raises
    ------
    BrokerError
        The broker did not tell in time.
    """
    if desk.events is None:
        return []
    found = [msgspec.json.decode(value, type=ModelEvent) for value in (await _whole(desk, desk.events)).values()]
    return sorted((event for event in found if event.target == target), key=lambda event: event.at)


async def _whole(desk: Desk, topic: str) -> dict[str, bytes]:
    try:
        return await read_whole(desk.address, topic, desk.embedded, READ_WITHIN_S)
    except TimeoutError:
        raise BrokerError(f"topic {topic!r} could not be read within {READ_WITHIN_S:.0f} s") from None


def an_order(target: str, order: Order, *, model: Pipeline | None = None, version: int | None = None) -> ModelOrder:
    """An order that is like no other."""
    return ModelOrder(secrets.token_hex(8), target, order, iso(wall_ms()), model, version)


async def command(desk: Desk, order: ModelOrder, within_s: float | None = None) -> ModelEvent | None:
    """Put an order on the control topic; what the target's trainer decided, None where none has answered in time.

    The order stands then, and a trainer follows it when it runs.

    Raises
    ------
    BrokerError
        The broker did not take it in time.
    """
    decided: asyncio.Future[ModelEvent] = asyncio.get_running_loop().create_future()

    def hear(_key: str, value: bytes | None, _offset: int) -> None:
        event = None if value is None else msgspec.json.decode(value, type=ModelEvent)
        if event is not None and event.by == order.id and not decided.done():
            decided.set_result(event)

    listening = None if desk.events is None else Control(desk.address, desk.events, desk.embedded)
    control = Control(desk.address, desk.control, desk.embedded)
    try:
        if listening is not None:
            listening.follow(hear)
            await listening.start()
        await control.start()
        control.put(order_key(desk.group, order.target), msgspec.json.encode(order))
        await asyncio.wait_for(control.drained(), READ_WITHIN_S)
        patience_s = FOLLOWED_WITHIN_S if within_s is None else within_s
        done, _ = await asyncio.wait([decided], timeout=0 if listening is None else patience_s)
        return decided.result() if done else None
    except TimeoutError:
        raise BrokerError(f"the broker did not take the order within {READ_WITHIN_S:.0f} s") from None
    finally:
        decided.cancel()
        await control.stop()
        if listening is not None:
            await listening.stop()
