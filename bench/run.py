"""One run of one worker: a broker, topics, the load, then the worker as a process of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path

import msgspec

from bench.brokers import running
from bench.job import Job
from bench.load import Event, produce
from bench.measure import Measured
from bench.models import publish
from streams.cluster import prepare
from streams.engine import plan

WARM = 500
WITHIN_S = 1_800.0


class Peer(StrEnum):
    """What is measured; the value is the module that runs."""

    LIVETAGS, PLAIN_FAUST = "bench.livetags", "bench.plain_faust"


class WorkerFailed(Exception):
    """A measured process failed; the message holds the end of what it said."""


class Setting(msgspec.Struct, frozen=True):
    """Where and how the workers run; no broker: an embedded one for every run, `kafka`: an Apache Kafka.

    `scored`: such a model (a `Pipeline`) of every target is there from the beginning, so that every event is
    scored. `populations`: with the tags that rest on all customers together. `workers` of livetags share one load.
    The first `filled` records of it are not measured.
    """

    catalogue: Path
    partitions: int
    broker: str = ""
    stages: bool = False
    profile: str = ""
    scored: str = ""
    populations: bool = False
    workers: int = 1
    filled: int = 0


def run(peer: Peer, setting: Setting, events: list[Event]) -> Measured:
    """One measurement over topics of its own.

    Raises
    ------
    WorkerFailed
        The process did not end well.
    """
    with tempfile.TemporaryDirectory(prefix="livetags-bench-") as kept, running(setting.broker) as broker:
        warm = Path(kept) / "warm.json"
        warm.write_bytes(msgspec.json.encode(events[:WARM]))
        job = Job(
            broker=broker.address,
            name=f"bench-{uuid.uuid4().hex[:8]}",
            directory=str(Path(kept) / "state"),
            events=len(events),
            partitions=setting.partitions,
            catalogue=str(setting.catalogue),
            warm=str(warm),
            filled=setting.filled,
            stages=setting.stages,
            scored=setting.scored,
            populations=setting.populations,
            profile=setting.profile and str(Path(setting.profile).absolute()),
        )
        asyncio.run(_fill(job, events))
        before = broker.cpu_s()
        measured = _worker(peer, job) if setting.workers == 1 else _workers(peer, job, setting.workers)
        return msgspec.structs.replace(measured, broker_cpu_s=broker.cpu_s() - before)


async def _fill(job: Job, events: list[Event]) -> None:
    catalogue = job.loaded()
    elsewhere = job.settings().model_copy(update={"data_dir": Path(job.directory).with_name("fill")})
    await prepare(elsewhere, catalogue, plan.build(catalogue).fingerprint)
    topics = {source.name: source.topic for source in catalogue.sources}
    await produce(job.broker, topics, events, job.partitions)
    if job.scored:
        await publish(job)


def _workers(peer: Peer, job: Job, count: int) -> Measured:
    """Several workers over one load, as if they were one: from the first one's begin to the last one's end."""
    progress = Path(job.directory).with_name("progress")
    progress.mkdir()
    jobs = [msgspec.structs.replace(job, progress=str(progress), worker=number) for number in range(count)]
    with ThreadPoolExecutor(count) as pool:
        found = list(pool.map(lambda one: _worker(peer, one), jobs))
    return msgspec.structs.replace(
        found[0],
        seconds=max(one.end_s for one in found) - min(one.begin_s for one in found),
        cpu_s=sum(one.cpu_s for one in found),
        whole_cpu_s=sum(one.whole_cpu_s for one in found),
        peak_mb=sum(one.peak_mb for one in found),
        flips=sum(one.flips for one in found),
        others=sum(one.others for one in found),
        stages={},
    )


def _worker(peer: Peer, job: Job) -> Measured:
    try:
        done = subprocess.run(
            [sys.executable, "-m", peer.value, job.text], capture_output=True, timeout=WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise WorkerFailed(f"{peer.value} did not end within {WITHIN_S:.0f} s") from error
    if done.returncode:
        raise WorkerFailed(f"{peer.value} failed: {done.stderr.decode(errors='replace')[-2000:]}")
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Measured)
