"""The HTTP API: what the page shows, as JSON."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from schemas.freshness import Freshness
from schemas.records import SegmentChange, TagChange
from streams.web.openapi import Health, Refusal, describe, many, one, plain_text, responses
from streams.web.snapshots import Snapshots
from streams.web.view import CustomerDetail, FeatureView, SegmentView, SourceView, Summary, TagView, detail

LIMIT = 1_000
NO_STORE = {"Cache-Control": "no-store"}
ABOUT = (
    "What one livetags worker knows: how it runs, its tags and segments, and its customers. "
    "Figures are at most a second old."
)
NO_CUSTOMER = (
    "no such customer on this worker: no record of this customer has been applied here, or another worker has it"
)


def create_api(snapshots: Snapshots) -> FastAPI:
    """The API alone; the page is mounted beside it by `streams.web.app`."""
    app = FastAPI(
        title="livetags", version="1", description=ABOUT, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json"
    )
    _add_worker(app, snapshots)
    _add_freshness(app, snapshots)
    _add_customers(app, snapshots)
    app.add_api_route(
        "/api/{rest:path}", _no_such, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        include_in_schema=False,
    )  # fmt: skip
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]  # FastAPI's own way of another document
    return app


def _add_worker(app: FastAPI, snapshots: Snapshots) -> None:
    @app.get(
        "/api/health", response_class=Response, responses=responses(one(Health)), summary="Whether the worker answers"
    )
    async def health() -> Response:
        summary = snapshots.board().summary
        return _json(Health(ok=True, state=summary.state, recovering=summary.recovering))

    @app.get("/api/summary", response_class=Response, responses=responses(one(Summary)), summary="The worker in a line")
    async def summary() -> Response:
        return _json(snapshots.board().summary)

    @app.get(
        "/api/sources",
        response_class=Response,
        responses=responses(many(SourceView)),
        summary="How fresh each source is",
    )
    async def sources() -> Response:
        return _json(snapshots.board().sources)

    @app.get(
        "/api/features",
        response_class=Response,
        responses=responses(many(FeatureView)),
        summary="What each feature is called and measured in",
    )
    async def features() -> Response:
        return _json(snapshots.view.features())

    @app.get("/api/tags", response_class=Response, responses=responses(many(TagView)), summary="Customers by tag")
    async def tags() -> Response:
        return _json(snapshots.board().tags)

    @app.get(
        "/api/segments", response_class=Response, responses=responses(many(SegmentView)), summary="Customers by segment"
    )
    async def segments() -> Response:
        return _json(snapshots.board().segments)


def _add_freshness(app: FastAPI, snapshots: Snapshots) -> None:
    @app.get(
        "/api/freshness",
        response_class=Response,
        responses=responses(one(Freshness)),
        summary="How fresh sources and tags are, over all workers, against what the catalogue promises",
    )
    async def freshness() -> Response:
        return _json(snapshots.board().freshness)

    @app.get(
        "/metrics",
        response_class=Response,
        responses=plain_text("Prometheus' text format, or OpenMetrics where that is accepted"),
        summary="The worker's metrics, for Prometheus",
    )
    async def metrics(request: Request) -> Response:
        exposed = snapshots.view.metrics(request.headers.get("accept", ""))
        return Response(exposed.body, 200, NO_STORE | {"Content-Type": exposed.content_type})


def _add_customers(app: FastAPI, snapshots: Snapshots) -> None:
    changes_responses = responses(many(TagChange, SegmentChange), 422)

    @app.get(
        "/api/changes", response_class=Response, responses=changes_responses, summary="The last changes, newest first"
    )
    async def changes(limit: Annotated[int, Query(ge=1, le=LIMIT, description="At most so many")] = 50) -> Response:
        return _json(snapshots.view.recent(limit))

    @app.get(
        "/api/customers/{customer_id:path}",
        response_class=Response,
        responses=responses(one(CustomerDetail), 404, 422),
        summary="One customer: tags, segments, features, and why",
    )
    async def customer(
        customer_id: Annotated[str, Path(description="The customer, as the records' key says")],
    ) -> Response:
        found = detail(snapshots.view, customer_id)
        if found is None:
            return _json(Refusal(NO_CUSTOMER), 404)
        return _json(found)


def _json(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, NO_STORE, "application/json")


async def _no_such(request: Request) -> Response:
    """A refusal of our own: what was asked for is not logged."""
    if request.method != "GET":
        refused = _json(Refusal("the API only answers GET"), 405)
        refused.headers["Allow"] = "GET"
        return refused
    return _json(Refusal("no such address; /api/openapi.json lists them"), 404)


async def _unreadable(request: Request, error: Exception) -> Response:
    """The parameters that can't be read and what each has to be."""
    if not isinstance(error, RequestValidationError):
        raise HTTPException(500)
    said = [f"{item['loc'][-1]}: {item['msg']}" for item in error.errors()]
    return _json(Refusal("; ".join(said)), 422)
