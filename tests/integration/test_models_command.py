"""`livetags models` on a broker: what a trainer reports is told, and what is ordered is done, decided and followed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from schemas.learning import ModelSnapshot, Pipeline
from schemas.loading import loads
from streams import model_desk
from streams.cli import main
from tests.integration.support import Bench
from tests.integration.test_trainer import examples_of, published, reached, running, sent, text

pytestmark = pytest.mark.anyio
OTHER = {Pipeline.LINEAR: Pipeline.CROSSED, Pipeline.CROSSED: Pipeline.LINEAR}


async def run(bench: Bench, *arguments: str) -> Result:
    """The command as one types it, with this test's broker and topics."""
    settings = bench.settings(2)
    given = ["--broker", bench.address, "--app-id", settings.group(bench.name)]
    environment = {"LIVETAGS_TOPIC_PREFIX": settings.topic_prefix}
    return await asyncio.to_thread(CliRunner(env=environment).invoke, main, ["models", *arguments, *given])


async def told(bench: Bench, *arguments: str) -> Any:
    """The same as JSON, of a run that succeeds."""
    ran = await run(bench, *arguments, "--json")
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


async def test_models_are_listed_promoted_and_put_back_by_one_command_each(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue, file = loads(text(bench)), bench.directory / "everything.yaml"
    file.write_text(text(bench), encoding="utf-8")
    ran = await run(bench, "list", str(file))
    assert (ran.exit_code, "no worker or trainer has run there" in ran.output) == (1, True)
    examples = examples_of(catalogue)
    async with running(bench, catalogue):
        await bench.send(sent(examples))
        champions = {one["target"]: one["models"][0]["model"] for one in await settled(bench, file)}
        before = (await published(bench, "leaves"))[-1]
        assert before.model == champions["leaves"]
        promoted = await told(bench, "promote", str(file), "leaves")
        assert (promoted["what"], promoted["model"]) == ("promoted", OTHER[before.model])
        other = (await reached(bench, "leaves", before.version + 1))[-1]
        assert (other.model, other.pinned) == (OTHER[before.model], False)
        back = await told(bench, "rollback", str(file), "leaves")
        assert back["what"] == "rolled-back"
        pinned = (await reached(bench, "leaves", other.version + 1))[-1]
        assert pinned == msgspec.structs.replace(before, version=pinned.version, pinned=True)
        refused = await run(bench, "rollback", str(file), "leaves", "--to", "99")
        assert (refused.exit_code, "refused" in refused.output) == (1, True)
        shown = await told(bench, "show", str(file), "leaves")
    assert [event["what"] for event in shown["events"] if event["by"] not in ("drift", "reliability", "test")] == [
        "promoted", "rolled-back", "refused",
    ]  # fmt: skip
    monkeypatch.setattr(model_desk, "FOLLOWED_WITHIN_S", 0.5)
    ran = await run(bench, "promote", str(file), "sleeps")
    assert (ran.exit_code, "no trainer has answered" in ran.output) == (1, True)
    async with running(bench, catalogue):  # the order stands
        wanted = OTHER[Pipeline(champions["sleeps"])]
        assert (await reached_model(bench, "sleeps", wanted)).model is wanted


async def settled(bench: Bench, file: Path) -> Any:
    """The reports of both targets once each has the newest model that is published."""
    async with asyncio.timeout(30):
        while True:
            ran = await run(bench, "list", str(file), "--json")
            found = json.loads(ran.stdout) if ran.exit_code == 0 else []
            newest = [(await published(bench, one["target"]))[-1:] for one in found]
            versions = [one["version"] for one in found]
            if len(found) == 2 and versions == [new.version for some in newest for new in some]:
                return found


async def reached_model(bench: Bench, target: str, model: Pipeline) -> ModelSnapshot:
    """The target's newest snapshot once it is of that model."""
    async with asyncio.timeout(30):
        while (found := (await published(bench, target))[-1]).model is not model:
            await asyncio.sleep(0.05)
    return found
