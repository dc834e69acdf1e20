"""Whether the challenger is better: a test that may be looked at every day and still errs as seldom as declared.

A day's mean of (the champion's log loss - the challenger's) is a bet against "the challenger is no better". Answers of
one day, and of one customer, hang together, so a day is one observation, however many answers it has. A day counts for
no more than `WIDEST` times what days before it usually were, either way: x = d / that bound lies in [-1, 1], and the
bound is known before the day. Starting with 1, the wealth

    evidence = product over days of (1 + bet * x),   0 <= bet <= MOST < 1, chosen from earlier days only

is never negative, and where the challenger is no better (the days' bounded gains have no positive mean) its expectation
does not rise: by Ville's inequality it ever reaches E with a probability of 1/E at most, whenever one looks. Bets as in
Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (2023); comparing forecasters so:
Choe and Ramdas, "Comparing sequential forecasters" (2021).
"""

from __future__ import annotations

import math
from typing import Final

from models.state import TrialState
from schemas.durations import DAY

MOST: Final = 0.75
WIDEST: Final = 3.0
GATHERED: Final = 3
"""Days that only show how far days usually are apart; there is no bet on them."""
# As if there had been a few more days on which nothing was to be seen, so that the first bets are small.
EARLIER: Final = 5.0
CEILING: Final = 700.0  # of the logarithm: what is beyond is no number any more


class Trial:
    """The test of one challenger against one champion.

    Parameters
    ----------
    offset_ms
        What the local day is ahead of UTC.
    """

    def __init__(self, offset_ms: int = 0) -> None:
        self._offset_ms = offset_ms
        self._state = TrialState()

    @property
    def evidence(self) -> float:
        """The e-value, of the days that are over."""
        return math.exp(self._state.log_evidence)

    @property
    def days(self) -> int:
        """Days that are over and had answers."""
        return self._state.days

    @property
    def gain(self) -> float | None:
        """Mean of the days' means: by how much the champion's log loss is higher, nats; None before a day is over."""
        return self._state.gains / self._state.days if self._state.days else None

    @property
    def since(self) -> int | None:
        """Time of the first answer, UTC ms."""
        return self._state.since

    def update(self, champion: float, challenger: float, label: bool, time_ms: int) -> bool:
        """Take the log odds that both gave of a question, and what came; whether a day is over by it."""
        state, day = self._state, (time_ms + self._offset_ms) // DAY
        if state.since is None:
            state.since, state.day = time_ms, day
        over = day > state.day
        if over:
            self._bet()
            state.day = day
        state.answers += 1
        state.difference += loss(champion, label) - loss(challenger, label)
        return over

    def _bet(self) -> None:
        """Close a day."""
        state = self._state
        gain = state.difference / state.answers
        if state.days >= GATHERED and state.squares > 0.0:
            x = min(max(gain / (WIDEST * math.sqrt(state.squares / state.days)), -1.0), 1.0)
            mean, square = state.bets_sum / (state.bets + EARLIER), state.bets_squares + EARLIER / WIDEST**2
            bet = min(max(mean / (square / (state.bets + EARLIER)), 0.0), MOST)
            state.log_evidence = min(state.log_evidence + math.log1p(bet * x), CEILING)
            state.bets += 1
            state.bets_sum += x
            state.bets_squares += x * x
        state.days += 1
        state.gains += gain
        state.squares += gain * gain
        state.answers, state.difference = 0, 0.0

    def state(self) -> TrialState:
        """All that it knows."""
        return self._state

    def load(self, state: TrialState) -> None:
        """Go on from a state."""
        self._state = state


def loss(logit: float, label: bool) -> float:
    """-log of the probability that log odds give to what came."""
    against = -logit if label else logit
    return against + math.log1p(math.exp(-against)) if against > 0.0 else math.log1p(math.exp(against))
