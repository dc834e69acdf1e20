"""Demo data as files: made once, kept in a cache, read back merged by event time.

Beside each `<source>.ndjson` lies `<source>.index.npy`: time and end offset of every line, so that merging sorts
integers and reads each file in blocks, without parsing JSON.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.demo import Stream, bank

VERSIONS = {"retail": 2, "bank": 3}  # part of the cache directory's name: raise it when the bytes change
INDEX = np.dtype([("time_ms", "<i8"), ("end", "<i8")])


class UnknownDatasetError(Exception):
    """There is no such demo data set."""


class Dataset(msgspec.Struct):
    """One demo data set on disk.

    Attributes
    ----------
    name
        "retail" or "bank".
    directory
        Folder of its files.
    sources
        Source name to its .ndjson file, sorted by event time.
    events
        Source name to its number of lines.
    """

    name: str
    directory: Path
    sources: dict[str, Path]
    events: dict[str, int]


class Chunk(msgspec.Struct, frozen=True):
    """Consecutive events of all sources, in one order; three columns of the same length.

    Attributes
    ----------
    sources
        Position of each event's source in `Dataset.sources`.
    times_ms
        UTC epoch milliseconds, never decreasing.
    lines
        JSON objects without newline.
    """

    sources: list[int]
    times_ms: list[int]
    lines: list[bytes]


def load(name: str, cache: Path) -> Dataset:
    """The data set `name`, made under `cache` if it is not there yet (two processes may do so at once).

    Raises
    ------
    UnknownDatasetError
        `name` is neither "retail" nor "bank".
    """
    if name not in VERSIONS:
        raise UnknownDatasetError(f"there is no demo data set {name!r}; choose one of {', '.join(VERSIONS)}")
    directory = cache / f"{name}-v{VERSIONS[name]}"
    _make(_write_retail if name == "retail" else _write_bank, directory)
    return opened(name, directory)


def bank_of(customers: int, cache: Path) -> Dataset:
    """The simulated bank with so many customers, made under `cache` if it is not there yet."""
    directory = cache / f"bank-v{VERSIONS['bank']}-{customers}"
    _make(partial(_write_bank, customers=customers), directory)
    return opened("bank", directory)


def _write_retail(directory: Path) -> None:
    from streams.demo import retail  # late: it needs what only the demo is installed with

    write(retail.streams(), directory)


def _write_bank(directory: Path, customers: int = bank.CUSTOMERS) -> None:
    simulation = bank.simulate(customers)
    write(simulation.streams, directory)
    simulation.truth.save(directory / "truth.npz")


def _make(write_into: Callable[[Path], None], directory: Path) -> None:
    """Write into a folder of our own, then rename; whoever comes second keeps the first one's files."""
    if directory.is_dir():
        return
    directory.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        draft.chmod(0o755)  # mkdtemp's folders are closed to everybody else
        write_into(draft)
        try:
            draft.rename(directory)
        except OSError:
            if not directory.is_dir():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write(streams: Iterable[Stream], directory: Path) -> None:
    """Write each stream's lines and index, and the order of the sources with their counts (`events.json`)."""
    events: dict[str, int] = {}
    for stream in streams:
        index = np.empty(len(stream.times_ms), INDEX)
        index["time_ms"] = stream.times_ms
        at = 0
        with (directory / f"{stream.name}.ndjson").open("wb") as file:
            for lines in stream.lines():
                index["end"][at : at + len(lines)] = list(map(len, lines))
                at += len(lines)
                file.write(b"\n".join(lines) + b"\n")
        index["end"] = np.cumsum(index["end"] + 1)
        np.save(directory / f"{stream.name}.index.npy", index)
        events[stream.name] = at
    (directory / "events.json").write_bytes(msgspec.json.encode(events))


def opened(name: str, directory: Path) -> Dataset:
    """The data set that `write` left in `directory`."""
    events = msgspec.json.decode((directory / "events.json").read_bytes(), type=dict[str, int])
    return Dataset(name, directory, {source: directory / f"{source}.ndjson" for source in events}, events)


def merged(dataset: Dataset) -> Iterator[tuple[str, bytes]]:
    """Source name and JSON line (without newline) of every event, by event time.

    Events of the same time keep the order of `dataset.sources`, then that of their file.
    """
    names = list(dataset.sources)
    for chunk in merged_chunks(dataset, 65_536):
        for source, line in zip(chunk.sources, chunk.lines, strict=True):
            yield names[source], line


def merged_chunks(dataset: Dataset, size: int) -> Iterator[Chunk]:
    """All events in the order of `merged`, in chunks of `size` (the last one may be shorter).

    Yields
    ------
    Columns of source position, time and line: what a producer needs to send a batch without decoding it. At most one
    chunk's lines are in memory.
    """
    indexes = [np.load(path.with_suffix(".index.npy")) for path in dataset.sources.values()]
    times: NDArray[np.int64] = np.concatenate([index["time_ms"] for index in indexes])
    sources = np.repeat(np.arange(len(indexes)), [len(index) for index in indexes])
    order = np.argsort(times, kind="stable")
    taken = [0] * len(indexes)
    files = [path.open("rb") for path in dataset.sources.values()]
    try:
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            source = sources[rows]
            blocks: list[Iterator[bytes]] = []
            for number, count in enumerate(np.bincount(source, minlength=len(files)).tolist()):
                ends = indexes[number]["end"][taken[number] : taken[number] + count]
                length = int(ends[-1]) - files[number].tell() if count else 0
                taken[number] += count
                blocks.append(iter(files[number].read(length).split(b"\n")))
            numbers: list[int] = source.tolist()
            yield Chunk(numbers, times[rows].tolist(), [next(blocks[number]) for number in numbers])
    finally:
        for file in files:
            file.close()
