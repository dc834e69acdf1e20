"""Models for the bench: made up, as what a score costs does not depend on what it says; run, it judges learned ones."""

from __future__ import annotations

import math

import msgspec
from aiokafka import AIOKafkaProducer

from bench.job import Job
from schemas.catalogue import Target
from schemas.learning import CrossWeight, ModelSnapshot, Pipeline, model_key
from schemas.topics import Role


def made_up(target: Target, model: Pipeline) -> ModelSnapshot:
    """A model around the target's prior."""
    count, crossed = len(target.features), model is Pipeline.CROSSED
    return ModelSnapshot(
        target=target.name,
        version=1,
        at=0,
        questions=1,
        answers=1,
        positives=1,
        learned=1,
        ready=True,
        features=list(target.features),
        means=[1.0] * count,
        weights=[0.1 * (-1) ** place for place in range(count)],
        bias=math.log(target.prior / (1 - target.prior)),
        model=model,
        spreads=[1.0] * count if crossed else [],
        crosses=[CrossWeight(one.first, one.second, 0.01) for one in target.crosses] if crossed else [],
    )


async def publish(job: Job) -> None:
    """Put a model of every target on the job's control topic."""
    producer = AIOKafkaProducer(bootstrap_servers=job.broker)
    await producer.start()
    try:
        for target in job.loaded().targets:
            key = model_key(job.name, target.name).encode()
            topic = f"{job.name}-{Role.CONTROL.value}"
            await producer.send_and_wait(
                topic, key=key, value=msgspec.json.encode(made_up(target, Pipeline(job.scored)))
            )
    finally:
        await producer.stop()


if __name__ == "__main__":
    from bench.judging import main

    main()
