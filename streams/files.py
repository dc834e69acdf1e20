"""Records from files: `.ndjson`, `.csv` and `.parquet`, each gzipped too, as raw JSON in the order of the file."""

from __future__ import annotations

import csv
import gzip
import heapq
import io
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, cast

import msgspec

from schemas.catalogue import Catalogue, FieldKind, Source
from schemas.values import parse_iso
from streams.replay import Record

KINDS: Final = (".ndjson", ".jsonl", ".csv", ".parquet")


class FileError(Exception):
    """A file that can't be read as records; the message says what was expected."""


class _Line(msgspec.Struct):
    source: str
    value: msgspec.Raw
    key: str | None = None


def mixed(path: Path, catalogue: Catalogue) -> Iterator[Record]:
    """Records of lines `{"source": ..., "value": {...}}` (a removal: `"value": null` with `"key"`), in their order.

    Raises
    ------
    FileError
        On a line of another shape, with its number.
    """
    names = {source.name for source in catalogue.sources}
    decode = msgspec.json.Decoder(_Line).decode
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                found = decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                reason = "not JSON" if isinstance(error, UnicodeDecodeError) else str(error).split(" - ")[0]
                raise FileError(
                    f'{path}:{number}: expected a line {{"source": ..., "value": {{...}}}}: {reason}'
                ) from None
            if found.source not in names:
                raise FileError(
                    f"{path}:{number}: there is no source {found.source!r}, only {', '.join(sorted(names))}"
                )
            value = bytes(found.value)
            yield Record(found.source, None if value == b"null" else value, found.key)


def of_source(path: Path, source: Source) -> Iterator[bytes]:
    """The JSON values of one source's file."""
    kind = next((s for s in reversed(path.suffixes) if s != ".gz"), "")
    if kind not in KINDS:
        raise FileError(f"{path}: expected a file that ends in {', '.join(KINDS)}, also with .gz")
    if kind == ".parquet":
        yield from _parquet(path)
    elif kind == ".csv":
        yield from _csv(path, source)
    else:
        with _opened(path) as file:
            yield from (line.rstrip(b"\n") for line in file if line.strip())


def merged(files: dict[str, Path], catalogue: Catalogue) -> Iterator[Record]:
    """The records of several sources' files, by event time; ties by the catalogue's order, then the file's."""
    zone = zoneinfo.ZoneInfo(catalogue.timezone)
    order = {source.name: number for number, source in enumerate(catalogue.sources)}

    def timed(name: str, path: Path) -> Iterator[tuple[int, int, int, Record]]:
        source, reached = catalogue.source(name), 0
        for place, value in enumerate(of_source(path, source)):
            reached = max(reached, _time(value, source, zone))
            yield reached, order[name], place, Record(name, value)

    for *_, record in heapq.merge(*(timed(name, path) for name, path in files.items()), key=lambda item: item[:3]):
        yield record


def _time(value: bytes, source: Source, zone: zoneinfo.ZoneInfo) -> int:
    """The event time, or 0 where it can't be read: the decoder will say why."""
    try:
        found = msgspec.json.decode(value)[source.time]
        return parse_iso(found, zone) if isinstance(found, str) else int(found)
    except (msgspec.MsgspecError, UnicodeDecodeError, LookupError, TypeError, ValueError, OverflowError):
        return 0


def _opened(path: Path) -> IO[bytes]:
    try:
        return cast(IO[bytes], gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb"))
    except OSError as error:
        raise FileError(f"{path}: can't be read: {error.strerror}") from None


def _csv(path: Path, source: Source) -> Iterator[bytes]:
    """A JSON object per row; columns of numbers and booleans become such, empty cells are left out."""
    convert = {field.name: _converter(field.kind) for field in source.fields}
    with _opened(path) as file:
        for row in csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline="")):
            yield msgspec.json.encode({k: convert.get(k, _same)(v) for k, v in row.items() if v not in (None, "")})


def _converter(kind: FieldKind) -> Any:
    if kind in (FieldKind.MONEY, FieldKind.NUMBER):
        return _number
    if kind is FieldKind.COUNT:
        return _whole
    return _boolean if kind is FieldKind.BOOLEAN else _same


def _same(text: str) -> Any:
    return text


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _whole(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        return text


def _boolean(text: str) -> Any:
    return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)


def _parquet(path: Path) -> Iterator[bytes]:
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise FileError(f"{path}: parquet files need pyarrow: pip install 'livetags[demo]'") from None
    for batch in pq.ParquetFile(path).iter_batches(batch_size=50_000):
        for row in batch.to_pylist():
            yield msgspec.json.encode({k: v for k, v in row.items() if v is not None})
