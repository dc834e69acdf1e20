"""Where the levels of a quantile tag begin, in the units people read."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.catalogue import Catalogue, Quantiles, Segment, Tag
from schemas.explanations import CutExplanation
from schemas.population import CutPoints
from schemas.values import iso, named_value


def explain_cuts(catalogue: Catalogue, item: Tag | Segment, points: Mapping[str, CutPoints]) -> CutExplanation | None:
    """The cut-points of a quantile tag; None of anything else, and where there are none yet."""
    if not isinstance(item.rule, Quantiles) or item.name not in points:
        return None
    found, feature = points[item.name], catalogue.feature(item.rule.of)
    return CutExplanation(
        version=found.version,
        at=iso(found.at),
        customers=found.customers,
        feature=feature.name,
        unit=feature.unit,
        falling=item.rule.falling,
        cuts=[named_value(catalogue, feature.name, cut) for cut in found.cuts],
    )
