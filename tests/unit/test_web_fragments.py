"""The page's fragments: bars, changes, sources, one customer; and that nothing from outside becomes HTML."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from schemas.catalogue import TagKind, Unit
from schemas.explanations import CutExplanation
from schemas.freshness import Freshness, Promise, SourceState
from schemas.records import Cause, SegmentChange, TagChange, Value
from schemas.status import Clock
from streams.web import bars, charts, dossier, feed, fresh, headline, model_cards
from streams.web.rendering import Rendering, render
from streams.web.snapshots import Board, Snapshots
from streams.web.view import (
    CustomerDetail,
    Explanation,
    SegmentView,
    SourceView,
    State,
    Summary,
    TagView,
    TargetView,
    detail,
)
from streams.web.words import Language
from tests.browser.fake_fresh import SOURCES, TAGS_FRESH, WORKERS, source, tag
from tests.browser.fake_view import FakeView

EN, ZH = Language.EN, Language.ZH
AT = "2025-01-05T01:12:33.123Z"
EVIL = "\"'><script>alert(1)</script>&{}"
TITLE = {"en": "Large inflow", "zh": "大额资金流入"}
SUMMARY = Summary(
    "bank", {"en": "Bank", "zh": "银行"}, "event", State.RUNNING, 2_000, 12.0, 50, 200, AT, 1, 2, 3, 0.25, "CNY", "UTC"
)  # fmt: skip
INFLOW = TagView("large_inflow", TITLE, TagKind.BEHAVIOUR, "deposits", {}, "", True, {"false": 150, "true": 50})
LIFECYCLE = TagView("lifecycle", {}, TagKind.LIFECYCLE, "", {}, "", False, {"active": 120, "cooling": 40, "lost": 0})
SCORE = TagView("intent", {}, TagKind.PREDICTED, "", {}, "its model is not learned yet", False, {})
BECAUSE: dict[str, Value] = {"inflow_1h": "61000.50", "lifecycle": "active"}
ENTERS = SegmentChange("a1", "C1", "prospects", False, True, AT, Cause.TIME, 1, BECAUSE)
TURNS = TagChange("a2", "C2", "large_inflow", True, False, AT, Cause.LATE, 1, {})


def board(**changed: Any) -> Board:
    """A small bank's board."""
    usual: dict[str, Any] = {
        "summary": SUMMARY,
        "sources": [SourceView("transactions", "tx", 2_000, AT, 5.0, 12, False)],
        "tags": [INFLOW, LIFECYCLE, SCORE],
        "segments": [SegmentView("prospects", {"en": "Prospects"}, {}, 20)],
        "changes": [ENTERS, TURNS],
        "changes_per_s": 2.0,
        "rates": [10.0, 12.0],
        "titles": {"large_inflow": TITLE, "inflow_1h": {"en": "Inflow in 1 hour", "zh": "一小时入账"}},
        "units": {"inflow_1h": Unit.MONEY},
        "freshness": Freshness(AT, Clock.WALL, SOURCES, TAGS_FRESH, WORKERS),
    }
    return Board(**(usual | changed))


def plain(html: str) -> str:
    """The text that is seen."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).strip()


def test_a_boolean_tag_shows_the_customers_that_have_it_and_their_share() -> None:
    html = bars.tags_card(board(tags=[INFLOW]), EN)
    assert "Large inflow 大额资金流入 50 25 %" in plain(html)
    assert "width:25.000%" in html


def test_the_page_language_puts_its_title_first() -> None:
    assert "大额资金流入 Large inflow" in plain(bars.tags_card(board(), ZH))


def test_a_level_tag_shows_its_values_in_order_and_leaves_room_for_the_unknown() -> None:
    html = bars.tags_card(board(tags=[LIFECYCLE]), EN)
    assert "lifecycle 160 80 % active 120 cooling 40 lost 0" in plain(html)
    assert re.findall(r"width:([\d.]+)%", html) == ["60.000", "20.000", "0.000"]


def test_a_warming_tag_says_so_and_why_instead_of_zero_customers() -> None:
    text = plain(bars.tags_card(board(tags=[SCORE]), EN))
    assert "intent warming its model is not learned yet" in text
    assert "0 %" not in text


def test_tags_stand_by_kind_whatever_their_order() -> None:
    text = plain(bars.tags_card(board(tags=[SCORE, LIFECYCLE, INFLOW]), EN))
    assert text.index("Behaviour") < text.index("Life cycle") < text.index("Predicted")


def test_bars_are_empty_before_there_is_a_customer() -> None:
    empty = msgspec.structs.replace(SUMMARY, customers=0)
    html = bars.segments_card(board(summary=empty, segments=[SegmentView("prospects", {}, {}, 0)]), EN)
    assert "width:0%" in html


def test_a_change_says_who_what_why_and_with_which_values() -> None:
    text = plain(feed.feed_card(board(), EN))
    assert "01:12:33 2025-01-05 prospects enters C1 time passed Inflow in 1 hour 61,000.50 CNY" in text
    assert "Large inflow 大额资金流入 on → off C2 late event" in text


def test_where_there_are_many_changes_the_list_says_that_it_shows_a_few() -> None:
    assert "a few of 612 a second" in plain(feed.feed_card(board(changes_per_s=612.0), EN))
    assert "a few of" not in plain(feed.feed_card(board(), EN))


def test_before_the_first_change_the_list_says_so() -> None:
    assert "No tag or segment has changed yet." in plain(feed.feed_card(board(changes=[]), EN))


def test_figures_name_what_was_set_aside_and_the_catalogues_time() -> None:
    shanghai = msgspec.structs.replace(SUMMARY, timezone="Asia/Shanghai")
    text = plain(headline.figures(board(summary=shanghai), EN))
    assert "Set aside 6 1 unreadable · 2 late · 3 repeated" in text
    assert "Event time 09:12:33 2025-01-05" in text
    assert "Changes 50 25 per 1,000 events" in text


def test_figures_before_the_first_event_are_no_error() -> None:
    nothing = msgspec.structs.replace(SUMMARY, events=0, events_per_s=0.0, event_time=None, progress=None)
    text = plain(headline.figures(board(summary=nothing, rates=[0.0, 0.0]), EN))
    assert "Event time – no event yet" in text
    assert "progress" not in headline.masthead(board(summary=nothing), EN)


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_its_word(state: State) -> None:
    html = headline.masthead(board(summary=msgspec.structs.replace(SUMMARY, state=state)), ZH)
    assert state not in plain(html)


@pytest.mark.parametrize(
    ("state", "given", "style", "said"),
    [
        (
            SourceState.FLOWING, {}, "fresh",
            "transactions tx flowing 2,000 events newest event 400 ms ago 12 behind last record 300 ms ago",
        ),
        (SourceState.BEHIND, {"lag_s": 94.0}, "stale", "12 behind for 1 min 34 s"),
        (SourceState.SILENT, {"lag": 0, "silence_s": 660.0}, "stale", "0 behind last record 11 min ago"),
        (SourceState.FROZEN, {"lag": 0, "frozen_at": AT}, "stale", "frozen 2,000 events newest event 400 ms ago"),
        (SourceState.FROZEN, {"lag": 0, "frozen_at": AT}, "stale", "read as of 2025-01-05 01:12"),
        (SourceState.UNREAD, {"lag": None, "unread": [1, 2]}, "broken", "nobody reads it 2,000 events"),
        (SourceState.UNREAD, {"lag": None, "unread": [1, 2]}, "broken", "lag unknown last record 300 ms ago 2 of 8"),
        (SourceState.UNKNOWN, {"age_s": None}, "quiet", "not known yet 2,000 events 12 behind"),
    ],
)  # fmt: skip
def test_a_source_says_in_a_word_how_it_is_and_then_its_figures(
    state: SourceState, given: dict[str, Any], style: str, said: str
) -> None:
    shown = Freshness(AT, Clock.WALL, [source("transactions", "tx", state, **given)], [], [])
    html = fresh.freshness_card(board(freshness=shown), EN)
    assert f'class="pill {style}"' in html
    assert said in plain(html)


def test_only_tags_with_a_promise_are_listed_with_what_became_of_it() -> None:
    text = plain(fresh.freshness_card(board(), EN))
    assert "Large inflow 大额资金流入 kept promised within 5 s 420 ms now" in text
    assert "Interest in wealth products 理财兴趣 missed promised within 5 s 1 min 34 s now frozen" in text
    assert "VIP" not in text


def test_workers_are_counted_only_where_there_is_something_to_say() -> None:
    assert "2 workers · 1 stopped" in plain(fresh.freshness_card(board(), EN))
    alone = Freshness(AT, Clock.WALL, SOURCES, TAGS_FRESH, WORKERS[:1])
    assert "workers" not in plain(fresh.freshness_card(board(freshness=alone), EN))


@pytest.mark.parametrize("language", list(Language))
def test_every_state_of_a_source_and_a_promise_has_its_word(language: Language) -> None:
    sources = [source(state.value, "tx", state) for state in SourceState]
    tags = [tag(promise.name, "", "", promise) for promise in Promise]
    html = fresh.freshness_card(board(freshness=Freshness(AT, Clock.WALL, sources, tags, [])), language)
    assert html.count('class="pill ') == len(SourceState) + len(Promise)


def test_one_customer_shows_what_is_so_before_what_is_not_and_why() -> None:
    explained = [
        Explanation(
            "large_inflow", TITLE, True, AT, "event", "inflow_1h >= 50_000", {"inflow_1h": "61000.50"}, "falls"
        ),
        Explanation("intent", {}, None, None, None, "", {}, ""),
    ]
    customer = CustomerDetail(
        "C1", AT, {"intent": None, "large_inflow": True, "lifecycle": "active"}, {"prospects": AT},
        {"inflow_1h": "61000.50", "visits": None}, {"intent": "warming"}, explained,
    )  # fmt: skip
    text = plain(dossier.dossier(customer, board(), EN))
    assert "Segments prospects since 2025-01-05 01:12 in" in text
    assert "Rule inflow_1h &gt;= 50_000 With Inflow in 1 hour 61,000.50 CNY Last changed by event" in text
    assert "Tags 2" in text
    assert text.index("lifecycle") < text.index("Not now 1") < text.index("intent warming")
    assert "Features Inflow in 1 hour 一小时入账 61,000.50 CNY visits –" in text


def test_a_level_by_rank_says_where_the_levels_begin() -> None:
    cuts = CutExplanation(3, AT, 2_469, "inflow_1h", Unit.MONEY, False, ["10.00", "61000.50"])
    worth = Explanation("lifecycle", {}, "3", AT, "cut-point", "of: inflow_1h", {}, "", cuts)
    customer = CustomerDetail("C1", AT, {"lifecycle": "3"}, {}, {}, {}, [worth])
    text = plain(dossier.dossier(customer, board(), EN))
    assert "Cut-points 2: ≥ 10.00 CNY · 3: ≥ 61,000.50 CNY (version 3, 2,469)" in text


def test_a_code_shows_the_words_that_most_customers_have() -> None:
    counts = {f"{n:03}": n for n in range(125)}
    text = bars.tags_card(board(tags=[msgspec.structs.replace(LIFECYCLE, counts=counts)]), EN)
    assert all(f'data-key="{n:03}"' in text for n in range(113, 125))
    assert 'data-key="112"' not in text


def test_what_is_frozen_keeps_its_value_and_says_so() -> None:
    status = {"lifecycle": "frozen", "prospects": "frozen"}
    customer = CustomerDetail("C1", AT, {"lifecycle": "active"}, {"prospects": AT}, {}, status, [])
    text = plain(dossier.dossier(customer, board(), EN))
    assert "prospects since 2025-01-05 01:12 in · frozen" in text
    assert "active · frozen" in text


def test_a_customer_in_no_segment_is_said_to_be_in_none() -> None:
    customer = CustomerDetail("C1", AT, {}, {}, {}, {}, [])
    assert "In no segment." in plain(dossier.dossier(customer, board(), EN))


def test_nothing_from_outside_becomes_html() -> None:
    titles = {"en": EVIL, "zh": EVIL}
    summary = msgspec.structs.replace(SUMMARY, catalogue=EVIL, title=titles, currency=EVIL, timezone=EVIL)
    tags = [
        TagView(EVIL, titles, TagKind.VALUE, EVIL, titles, "", False, {EVIL: 3}),
        TagView(EVIL, titles, TagKind.VALUE, EVIL, titles, EVIL, True, {}),
    ]
    changes = [
        TagChange(EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, Cause.EVENT, 1, {EVIL: EVIL, "money": EVIL}),
        SegmentChange(EVIL, EVIL, EVIL, False, True, EVIL, Cause.EVENT, 1, {EVIL: EVIL}),
    ]
    evil = board(
        summary=summary,
        tags=tags,
        changes=changes,
        titles={EVIL: titles},
        units={"money": Unit.MONEY, EVIL: Unit.TIME},
        sources=[SourceView(EVIL, EVIL + "2", 1, EVIL, 1.0, 1, True)],
        freshness=Freshness(
            EVIL, None, [source(EVIL, EVIL, SourceState.FLOWING)], [tag(EVIL, EVIL, EVIL, Promise.KEPT)], []
        ),
        segments=[SegmentView(EVIL, titles, titles, 1)],
    )
    why = Explanation(EVIL, titles, EVIL, EVIL, EVIL, EVIL, {EVIL: EVIL}, EVIL)
    customer = CustomerDetail(EVIL, EVIL, {EVIL: EVIL}, {EVIL: EVIL}, {EVIL: EVIL}, {EVIL: EVIL}, [why])
    for language in Language:
        parts = [*msgspec.structs.astuple(render(evil, language)), dossier.dossier(customer, evil, language)]
        for html in [*parts, dossier.nobody(EVIL, language)]:
            assert "<script" not in html
            assert "\"'>" not in html


def test_fragments_are_made_once_a_board_and_language() -> None:
    now_s = [5.0]
    rendering = Rendering(Snapshots(FakeView(lambda: now_s[0]), lambda: now_s[0]))
    first = rendering.fragments(EN)
    assert rendering.fragments(EN) is first
    assert rendering.fragments(ZH) is not first
    now_s[0] += 1
    assert rendering.fragments(EN) is not first


def test_an_unknown_customer_is_named_as_such() -> None:
    view = FakeView(lambda: 5.0)
    assert detail(view, "nobody") is None
    assert "No such customer on this worker." in Rendering(Snapshots(view)).dossier("nobody", EN)


# ------------------------------------------------------------------------------------------------------------- models


def test_models_are_shown_by_target_or_it_is_said_that_there_are_none() -> None:
    assert plain(model_cards.model_cards(board(), EN)) == "No trainer has told of a model yet."
    html = model_cards.model_cards(board(models=FakeView().models()), EN)
    told = plain(html)
    assert "A deposit is opened 开立存款 version 25" in told
    assert "champion: linear 0.8412 0.1600 1.02 1.02 challenger: with crosses second stage on 0.8467" in told
    assert "Evidence that the challenger is better: 6.8 of 20 112 days · +0.00041 nats an answer" in told
    assert "6,440 and 318 answers wait until their time is over" in told
    weights = told[told.index("What it rests on") :]
    assert weights.index("deposit_views_7d") < weights.index("balance_kept") < weights.index("since_first")
    assert "8,204.50 CNY → 40,120.00 CNY" in told
    assert "base rate 0.0620 0.0645 2025-05-05" in told
    assert html.count('<circle cx="') == 10


def test_before_anything_was_judged_the_cards_say_so() -> None:
    told = plain(model_cards.model_cards(board(models=FakeView().models()[1:]), EN))
    assert "warming" in told
    assert told.count("Nothing has been judged yet.") == 5
    assert "812" in told


def test_weeks_are_those_of_the_catalogues_time_zone() -> None:
    later = [msgspec.structs.replace(one, timezone="Pacific/Auckland") for one in [SUMMARY]]
    told = plain(model_cards.model_cards(board(models=FakeView().models(), summary=later[0]), EN))
    assert "2025-01-06" in told
    west = msgspec.structs.replace(SUMMARY, timezone="America/New_York")
    assert "2025-01-05" in plain(model_cards.model_cards(board(models=FakeView().models(), summary=west), EN))


def test_a_line_of_a_chart_leaves_gaps_where_nothing_is_known() -> None:
    drawn = charts.lines(["a", "b", "c", "d"], [charts.Line("x", "champion", [0.5, 0.7, None, 0.6])], "about")
    assert drawn.count("<polyline") == 2
    assert charts.lines(["a"], [charts.Line("x", "champion", [None])], "about") == ""


def test_nothing_a_report_says_becomes_html() -> None:
    report = FakeView().models()[0].report
    weights = [msgspec.structs.replace(report.models[0].weights[0], feature=EVIL)]
    models = [msgspec.structs.replace(report.models[0], weights=weights), *report.models[1:]]
    evil = msgspec.structs.replace(report, target=EVIL, at=EVIL, models=models)
    html = model_cards.model_cards(board(models=[TargetView({"en": EVIL}, evil)]), EN)
    assert "<script" not in html
    assert "alert(1)" in html
