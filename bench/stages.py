"""Which functions of the worker belong to which stage of an event's way."""

from __future__ import annotations

from typing import Any

from bench.measure import Stopwatch
from schemas.sources import Decoder
from streams import processor
from streams.emit import Emitter, Writer
from streams.engine import kernel
from streams.merge import Merge
from streams.processor import Partition
from streams.say import Sayer
from streams.task import Task

DECODE, MERGE, COLUMNS, KERNEL, TIMERS = "decode", "merge", "columns", "kernel", "timers"
SAY, PUBLISH, ROWS, EMIT, REST = "say", "customer tags", "encode rows", "emit", "rest of the partition"


class _Kernel:
    """The kernel as the processor calls it, to be timed without touching the engine."""

    def __init__(self) -> None:
        self.__dict__ |= {name: getattr(kernel, name) for name in dir(kernel) if name[0] != "_"}


def watch_partition(watch: Stopwatch) -> None:
    """Time a partition's parts; every call is of a batch, so that the watch costs nothing."""
    compiled: Any = _Kernel()
    setattr(processor, "kernel", compiled)  # noqa: B010 - what the processor calls, not the engine's module
    watch.time(Decoder, "decode", DECODE)
    watch.time(Merge, "push", MERGE)
    watch.time(Merge, "take", MERGE)
    watch.time(Partition, "_batch", COLUMNS)
    watch.time(compiled, "apply_batch", KERNEL)
    watch.time(compiled, "fire_due", TIMERS)
    watch.time(Sayer, "drain", SAY)
    watch.time(Sayer, "customers", PUBLISH)
    watch.time(Partition, "take_dirty", ROWS)
    watch.time(Partition, "push", REST)
    watch.time(Partition, "run", REST)
    watch.time(Emitter, "add_changes", EMIT)
    watch.time(Emitter, "add_customers", EMIT)


def watch_worker(watch: Stopwatch) -> None:
    """Time a worker's parts; what is left of its CPU time is Faust, aiokafka and the event loop."""
    watch_partition(watch)
    watch.time(Task, "receive", "task: receive")
    watch.time(Task, "_work", "task: work")
    watch.time(Task, "_take", "task: hand on")
    watch.time(Task, "observe", "task: observe")
    watch.time(Writer, "add", "batches of rows")
