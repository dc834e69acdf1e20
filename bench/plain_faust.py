"""The same job as the Faust documentation teaches it: an agent, a table, one record at a time.

`python -m bench.plain_faust JOB` prints a `Measured` as JSON. The agent reads the four topics as JSON, keeps each
customer's state as a dict in a Table (RocksDB store through rocksdict, changelog topic), computes the catalogue's
features, tags and segments in Python (`bench.plain_rules`), asks the targets' questions and decides about outreach
(`bench.plain_learning`), and sends a record for each flip, question, answer, request and decision to the topics that
livetags writes. The producer lingers 50 ms (Faust sends at once by default), to let records share requests.

Left out, though livetags does them: timers (a tag whose window runs empty changes only with the customer's next
record; so do requests that wait for the end of quiet hours, and answers that time gives), late records, duplicates, bad
records, the order of records across topics, ids of changes that stay the same on a replay, the `customer-tags` topic.
Faust delivers at least once; a crash repeats changes.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import faust
import msgspec

from bench.job import Job
from bench.measure import Measured, Moment, moment, peak_mb
from bench.plain_learning import PlainFollowUp
from bench.plain_rules import PlainJob
from schemas.topics import Role
from streams.cluster import Admin

LOOK_EVERY_S = 0.01
STUCK_AFTER_S = 600.0
EMBEDDED_SESSION_S = 2.0
WRITTEN = (
    Role.TAG_CHANGES,
    Role.SEGMENT_CHANGES,
    Role.TRAINING_EXAMPLES,
    Role.OUTREACH,
    Role.TRIGGER_DECISIONS,
)


class _Progress:
    """How far the agent is."""

    def __init__(self) -> None:
        self.begin: Moment | None = None
        self.done = 0
        self.flips = 0
        self.others = 0


def make_app(job: Job, progress: _Progress) -> faust.App:
    """The app; nothing in it is special but the sessions of an embedded broker, which are short."""
    with Admin(job.broker) as admin:
        embedded = admin.embedded()
    sessions: dict[str, Any] = (
        {"broker_session_timeout": EMBEDDED_SESSION_S, "broker_heartbeat_interval": 0.5} if embedded else {}
    )
    app = faust.App(
        f"{job.name}-faust",
        broker=f"kafka://{job.broker}",
        store="rocksdb://",
        datadir=str(job.directory),
        topic_partitions=job.partitions,
        topic_disable_leader=True,
        table_standby_replicas=0,
        producer_linger=job.linger_ms / 1000,
        web_enabled=False,
        autodiscover=False,
        consumer_auto_offset_reset="earliest",
        **sessions,
    )
    catalogue = job.loaded()
    plain, further = PlainJob(catalogue), PlainFollowUp(catalogue)
    names = {source.topic: source.name for source in catalogue.sources}
    records = app.topic(*names, key_type=str, value_serializer="json")
    topics = {role: app.topic(f"{job.name}-{role.value}", key_type=str, value_serializer="json") for role in WRITTEN}
    customers = app.Table("customers", default=dict, key_type=str, partitions=job.partitions)

    @app.agent(records)
    async def tag(stream: Any) -> None:
        async for event in stream.events():
            if progress.begin is None:
                progress.begin = moment()
            state = customers[event.key]
            source = names[event.message.topic]
            applied = plain.apply(source, event.key, event.value, state)
            follow_up = further.apply(source, event.key, applied, state)
            customers[event.key] = state
            for flip in applied.flips:
                role = Role.TAG_CHANGES if "tag" in flip else Role.SEGMENT_CHANGES
                await topics[role].send(key=event.key, value=flip)
            for role, record in follow_up:
                await topics[role].send(key=event.key, value=record)
            progress.flips += len(applied.flips)
            progress.others += len(follow_up)
            progress.done += 1

    return app


async def measure(job: Job) -> Measured:
    """What it took to apply all records and have what was sent acknowledged."""
    for name in ("faust", "mode", "aiokafka", "kafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    progress = _Progress()
    app = make_app(job, progress)
    app.finalize()
    await app.start()
    async with asyncio.timeout(STUCK_AFTER_S):
        while progress.done < job.events:
            await asyncio.sleep(LOOK_EVERY_S)
    await app.producer.flush()
    end, begin = moment(), progress.begin
    if begin is None:
        raise RuntimeError("nothing was measured: the topics are empty")
    measured = Measured(
        peer="plain Faust",
        events=job.events,
        seconds=end.wall_s - begin.wall_s,
        cpu_s=end.cpu_s - begin.cpu_s,
        whole_cpu_s=end.cpu_s,
        peak_mb=peak_mb(),
        flips=progress.flips,
        others=progress.others,
    )
    await app.stop()
    return measured


if __name__ == "__main__":
    print(msgspec.json.encode(asyncio.run(measure(Job.read(sys.argv[1])))).decode())
