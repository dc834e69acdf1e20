"""What a demo tells of its triggers: how many requests were made, how many were not and why, and a few in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from rich.console import RenderableType
from rich.table import Table

from schemas.catalogue import Catalogue, Crossing, Trigger
from schemas.outreach import TriggerDecision, Verdict, Why
from streams.demo.moments import Moment
from streams.demo.outreach import Case, Picked, Tally
from streams.demo.story import Teller, says
from streams.demo.tables import EN, table
from streams.web import formats
from streams.web.words import title_in

SHORT: Final = {
    Why.NO_CONSENT: "No consent",
    Why.HOLDOUT: "Held out",
    Why.COOLDOWN: "Cooldown",
    Why.CAP: "Cap",
    Why.EXPIRED: "Expired",
    Why.LEFT: "Left again",
    Why.RETURNED: "Came back",
    Why.SUPERSEDED: "Newer one",
    Why.CAUSE: "Not theirs",
    Why.WITHDRAWN: "Withdrawn",
}
"""Headings of the reasons for which requests are held back."""


def triggers_table(triggers: Sequence[Trigger], tallies: dict[str, Tally]) -> Table:
    """A line for each trigger: its changes, the requests they led to, and the others by reason."""
    reasons = [why for why in SHORT if any(why in one.held_back for one in tallies.values())]
    columns = ("Changes", "Sent", "Within 1 min", "Waiting", *(SHORT[why] for why in reasons))
    title = "Triggers: requests sent, and changes that led to none by reason"
    made = table("Trigger", "", *columns, numbers=len(columns), title=title)
    for trigger in triggers:
        one = tallies[trigger.name]
        numbers = (one.changes, one.sent, one.at_once, one.waiting, *(one.held_back.get(why, 0) for why in reasons))
        made.add_row(_title(trigger), trigger.title.get("zh", ""), *map(formats.count, numbers))
    return made


class OutreachTeller:
    """Puts cases of triggers into words."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._timezone = catalogue.timezone
        self._teller = Teller(catalogue)

    def examples(self, trigger: Trigger, picked: Picked, moment: Callable[[TriggerDecision], Moment]) -> RenderableType:
        """Some requests of a trigger, and some that were not made: who, when, what happened, what was decided."""
        crossed = "Entered" if trigger.change is Crossing.ENTER else "Left"
        title = f"{_title(trigger)}: some requests, and some that were not made"
        made = table("Customer", crossed, "Because", "Decision", title=title)
        for case in picked.cases:
            decision = case.decision
            when = f"{formats.day(decision.change_at, self._timezone)} {self._time(decision.change_at)}"
            made.add_row(decision.customer_id, when, self.happened(moment(decision)), self.decided(trigger, case))
        return made

    def happened(self, moment: Moment) -> str:
        """The tags that changed in that moment, with the values behind them; else what the segment's rule used."""
        if moment.change is None:
            return formats.MISSING
        if not moment.tags:
            return self._teller.because(moment.change.because)
        return "\n".join(
            f"{self._teller.title(tag.tag)}: {says(tag.new)} ({self._teller.because(tag.because)})"
            for tag in moment.tags
        )

    def decided(self, trigger: Trigger, case: Case) -> str:
        """What was decided of a change, and when or why, in plain words."""
        decision = case.decision
        if decision.verdict is Verdict.SENT:
            until = "" if case.request is None else f", to be made by {self._moment(case.request.expires_at)}"
            return f"Request by {trigger.channel} {self._how_soon(case)}{until}"
        if decision.verdict is Verdict.WAITING:
            return f"Waits for the quiet hours to end, {self._moment(decision.until)}"
        return f"None: {self.reason(trigger, decision)}"

    def _how_soon(self, case: Case) -> str:
        if case.at_once:
            return f"within {max(1, -(-case.delay_ms // 1000))} s of that"
        after = formats.duration(case.delay_ms, EN)
        ended = "when the quiet hours ended, " if case.waited else ""
        return f"{self._moment(case.decision.decided_at)}, {ended}{after} later"

    def reason(self, trigger: Trigger, decision: TriggerDecision) -> str:
        """Why no request was made."""
        until = self._moment(decision.until)
        match decision.why:
            case Why.NO_CONSENT:
                return "has not agreed to be contacted"
            case Why.HOLDOUT:
                return f"one of the {trigger.holdout:.0%} left alone, so that the effect can be measured"
            case Why.COOLDOWN:
                return f"a request was made lately; no other before {until}"
            case Why.CAP:
                return f"as many requests as the cap allows were made lately; no other before {until}"
            case Why.EXPIRED if decision.until is not None:
                return f"it would expire before the quiet hours end, {until}"
            case Why.EXPIRED:
                return "it expired before it could be made"
            case Why.LEFT:
                return "left the segment again before the quiet hours ended"
            case Why.RETURNED:
                return "was back in the segment before the quiet hours ended"
            case Why.SUPERSEDED:
                return "crossed the border anew while it waited; the newer change counts"
            case Why.CAUSE:
                return "the change was not the customer's doing"
            case Why.WITHDRAWN:
                return "the trigger was changed while it waited"
        return decision.why.value

    def _time(self, iso: str | None) -> str:
        return formats.clock_time(iso, self._timezone)

    def _moment(self, iso: str | None) -> str:
        return formats.day_and_time(iso, self._timezone)


def _title(trigger: Trigger) -> str:
    return title_in(trigger.title, EN, trigger.name)
