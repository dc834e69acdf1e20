"""Run as a program: which kernels were compiled although `warm` had been called, one line each.

The catalogue's file and the lines of a replay come as arguments.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import msgspec
import numpy as np

from streams.compiled import keep_compiled

keep_compiled(Path(".livetags"))

from numba.core.dispatcher import Dispatcher  # noqa: E402 - behind the setting of where kernels are kept

from schemas.loading import load  # noqa: E402
from schemas.sources import Incoming  # noqa: E402
from streams.engine import plan  # noqa: E402
from streams.processor import Partition  # noqa: E402
from streams.record_batch import Frame, events, of_lines, of_page, plain  # noqa: E402
from streams.residence import Cold  # noqa: E402
from streams.warm import warm  # noqa: E402

FAR_MS = 400 * 86_400_000


def _compiled() -> dict[str, int]:
    """How many signatures of each kernel are compiled."""
    kernels = (one for one in gc.get_objects() if isinstance(one, Dispatcher))
    named = {f"{one.py_func.__module__}.{one.py_func.__qualname__}": len(one.overloads) for one in kernels}
    return {name: count for name, count in named.items() if name.startswith(("streams.", "models."))}


def _work(built: plan.Plan, lines: list[bytes]) -> None:
    """All that a worker's task has a partition do, framed as for its topics."""
    part, frame = Partition(built, keyed=False), Frame(1 << 20)
    for line in lines:
        record = msgspec.json.decode(line)
        part.push(record["source"], [Incoming(msgspec.json.encode(record["value"]))])
    output = part.run()
    for changes in output.written:
        frame.fill(of_page(changes, np.flatnonzero(changes.segment)), 0)
    asked = output.examples
    written = of_lines(b"{}\n" * len(asked))
    frame.fill(events([one.customer_id for one in asked], written, [one.id for one in asked], [1] * len(asked)), 0)
    dirty = part.take_dirty()
    frame.fill(plain(dirty.customers, dirty.rows), 0)
    frame.fill(plain(dirty.customers, [None for _ in dirty.rows]), 0)
    for customers in part.take_published():
        frame.fill(of_page(customers, customers.known()), 0)
    Partition(built, keyed=False).load(dirty.customers, dirty.rows)
    rows = dict(zip(dirty.customers, dirty.rows, strict=True))
    cold = Partition(built, keyed=False, cold=Cold(lambda customers: [rows[one] for one in customers], rows=1))
    cold.load(dirty.customers, dirty.rows)
    cold.restore({}, part.clock_state())
    cold.advance(part.event_now() + FAR_MS)


def main(catalogue: str, lines: str) -> None:
    """Print what was compiled too late."""
    built = plan.build(load(Path(catalogue)))
    warm(built)
    before = _compiled()
    _work(built, Path(lines).read_bytes().splitlines())
    for name, count in sorted(_compiled().items()):
        if count > before.get(name, 0):
            print(name)


if __name__ == "__main__":
    main(*sys.argv[1:])
