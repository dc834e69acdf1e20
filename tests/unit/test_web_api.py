"""The HTTP API: what it answers, what it refuses, and its OpenAPI document."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import httpx
import msgspec
import pytest
from fastapi.openapi.models import OpenAPI
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

from schemas.freshness import Freshness
from schemas.records import SegmentChange, TagChange
from streams.web.api import create_api
from streams.web.openapi import Health
from streams.web.snapshots import Snapshots
from streams.web.view import (
    CustomerDetail,
    FeatureView,
    SegmentView,
    SourceView,
    State,
    Summary,
    TagView,
    TargetView,
    View,
)
from tests.browser.fake_view import FakeView


class Counted(FakeView):
    """A fake worker that counts how often its tags are asked for."""

    asked = 0

    def tags(self) -> list[TagView]:
        """As the fake's."""
        self.asked += 1
        return super().tags()


class Clock:
    """Seconds that pass only when told."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def view(clock: Clock) -> Counted:
    return Counted(clock)


class Api:
    """Asks the API without a network."""

    def __init__(self, view: View, clock: Clock) -> None:
        self._transport = httpx.ASGITransport(create_api(Snapshots(view, clock)))

    def ask(self, method: str, address: str, **options: Any) -> httpx.Response:
        """The answer."""

        async def asking() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://localhost") as client:
                return await client.request(method, address, **options)

        return asyncio.run(asking())

    def get(self, address: str, **options: Any) -> httpx.Response:
        """The answer to a GET."""
        return self.ask("GET", address, **options)


@pytest.fixture
def api(view: Counted, clock: Clock) -> Api:
    return Api(view, clock)


ANSWERS: list[tuple[str, Any]] = [
    ("/api/health", Health),
    ("/api/summary", Summary),
    ("/api/sources", list[SourceView]),
    ("/api/features", list[FeatureView]),
    ("/api/tags", list[TagView]),
    ("/api/segments", list[SegmentView]),
    ("/api/freshness", Freshness),
    ("/api/models", list[TargetView]),
    ("/api/customers/C104711", CustomerDetail),
]


@pytest.mark.parametrize(("address", "kind"), ANSWERS)
def test_every_answer_is_json_of_its_declared_type_and_is_not_stored(api: Api, address: str, kind: Any) -> None:
    answer = api.get(address)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    msgspec.json.decode(answer.content, type=kind)


def test_summary_tells_what_the_worker_tells(api: Api, view: Counted) -> None:
    assert msgspec.convert(api.get("/api/summary").json(), Summary) == view.summary()


def test_freshness_tells_what_the_worker_tells(api: Api, view: Counted) -> None:
    assert msgspec.convert(api.get("/api/freshness").json(), Freshness) == view.freshness()


@pytest.mark.parametrize(
    ("accept", "content_type", "read"),
    [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", parser.text_string_to_metric_families),
        (
            "application/openmetrics-text; version=1.0.0",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            openmetrics.text_string_to_metric_families,
        ),
    ],
)
def test_metrics_come_in_the_format_that_prometheus_asks_for(
    api: Api, accept: str, content_type: str, read: Any
) -> None:
    answer = api.get("/metrics", headers={"accept": accept})
    assert answer.headers["content-type"].startswith(content_type)
    silence = next(one for one in read(answer.text) if one.name == "livetags_source_silence_seconds")
    assert {one.labels["source"]: one.value for one in silence.samples} == {
        "transactions": 0.3, "app_logs": 0.3, "calls": 3700.0, "profiles": 3590.0
    }  # fmt: skip


def test_health_says_where_the_worker_stands(clock: Clock) -> None:
    api = Api(FakeView(clock, State.RECOVERING), clock)
    assert api.get("/api/health").json() == {"ok": True, "state": "recovering"}


def test_changes_are_newest_first_and_at_most_the_limit(api: Api) -> None:
    changes = api.get("/api/changes", params={"limit": 30}).json()
    assert len(changes) == 30
    assert [change["at"] for change in changes] == sorted((change["at"] for change in changes), reverse=True)
    for change in changes:
        msgspec.convert(change, SegmentChange if "segment" in change else TagChange)


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "many", ""])
def test_a_limit_that_can_not_be_is_refused_with_its_name(api: Api, limit: str) -> None:
    answer = api.get("/api/changes", params={"limit": limit})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("limit: ")


def test_a_customer_comes_with_tags_features_and_explanations(api: Api) -> None:
    customer = api.get("/api/customers/C104711").json()
    assert customer["customer_id"] == "C104711"
    assert customer["features"]["inflow_1h"]
    assert customer["status"]["monetary"] == "warming"
    explained = {item["name"] for item in customer["explanations"]}
    assert customer["tags"].keys() <= explained


def test_a_customer_id_may_hold_any_character(api: Api, view: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(view, "customer", lambda customer_id: asked.append(customer_id))
    for address in ("/api/customers/a%2Fb", "/api/customers/%E5%BC%A0 3?x=1"):
        assert api.get(address).status_code == 404
    assert asked == ["a/b", "张 3"]


def test_an_unknown_customer_is_not_found_and_the_answer_says_why(api: Api) -> None:
    answer = api.get("/api/customers/nobody")
    assert answer.status_code == 404
    assert "no such customer on this worker" in answer.json()["detail"]


def test_an_unknown_address_and_another_method_are_refused_in_json(api: Api) -> None:
    assert api.get("/api/customer/C104711").json()["detail"].startswith("no such address")
    refused = api.ask("POST", "/api/customers/C104711")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET")


def test_many_who_look_within_a_second_cost_the_worker_one_answer(api: Api, view: Counted, clock: Clock) -> None:
    for _ in range(5):
        api.get("/api/tags")
        api.get("/api/segments")
    assert view.asked == 1
    clock.now_s += 1.0
    api.get("/api/tags")
    assert view.asked == 2


def test_nobody_who_looks_costs_the_worker_nothing(view: Counted, clock: Clock) -> None:
    create_api(Snapshots(view, clock))
    assert view.asked == 0


def test_the_openapi_document_is_valid_and_every_reference_leads_somewhere(api: Api) -> None:
    document = api.get("/api/openapi.json").json()
    OpenAPI.model_validate(document)
    assert document["openapi"].startswith("3.1")
    schemas = document["components"]["schemas"]
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert references <= schemas.keys()
    assert {"Summary", "SourceView", "TagView", "SegmentView", "TagChange", "SegmentChange"} <= references


def test_the_openapi_document_lists_every_address(api: Api) -> None:
    paths = api.get("/api/openapi.json").json()["paths"]
    said = {address.partition("?")[0] for address, _ in ANSWERS if "customers" not in address}
    assert paths.keys() == said | {"/api/changes", "/api/customers/{customer_id}", "/metrics"}


def test_no_documentation_page_loads_scripts_from_elsewhere(api: Api) -> None:
    assert api.get("/docs").status_code == 404
    assert api.get("/redoc").status_code == 404
