"""The API's OpenAPI document: schemas come from the msgspec types, so that each is declared once."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from schemas.freshness import Freshness
from schemas.records import SegmentChange, TagChange
from streams.recovering import RecoveryStatus
from streams.web.view import CustomerDetail, FeatureView, SegmentView, SourceView, State, Summary, TagView

REF: Final = "#/components/schemas/{name}"


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether the worker answers, and where it stands; `recovering` only while it recovers partitions."""

    ok: bool
    state: State
    recovering: RecoveryStatus | None = None


class Refusal(msgspec.Struct, frozen=True):
    """Why there is no answer."""

    detail: str


TYPES: Final = (
    *(Health, Refusal, Summary, SourceView, FeatureView, TagView, SegmentView, TagChange, SegmentChange),
    *(CustomerDetail, Freshness),
)


def one(kind: type) -> dict[str, Any]:
    """The schema of one such value."""
    return {"$ref": REF.format(name=kind.__name__)}


def many(*kinds: type) -> dict[str, Any]:
    """The schema of a list of such values."""
    return {"type": "array", "items": one(kinds[0]) if len(kinds) == 1 else {"anyOf": [one(kind) for kind in kinds]}}


def responses(schema: dict[str, Any], *refused: int) -> dict[int | str, dict[str, Any]]:
    """What a route answers: the schema, or a refusal with one of these status codes."""
    said = {200: "The answer", 404: "There is none", 422: "The request can't be read"}
    schemas = {200: schema} | dict.fromkeys(refused, one(Refusal))
    return {
        code: {"description": said[code], "content": {"application/json": {"schema": body}}}
        for code, body in schemas.items()
    }


def plain_text(said: str) -> dict[int | str, dict[str, Any]]:
    """What a route answers whose answer is text."""
    return {200: {"description": said, "content": {"text/plain": {"schema": {"type": "string"}}}}}


def describe(app: FastAPI) -> dict[str, Any]:
    """The whole document."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    _, components = msgspec.json.schema_components(TYPES, ref_template=REF)
    document["components"] = {"schemas": components}
    return document
