"""Which sources a tag or segment rests on."""

from __future__ import annotations

from schemas import rules
from schemas.catalogue import Catalogue, Score, Segment, Tag
from schemas.loading_tags import rests_on


def sources_of(item: Tag | Segment, catalogue: Catalogue) -> tuple[str, ...]:
    """The sources a tag or segment rests on, through tags, features and targets, in the catalogue's order."""
    tags = {one.name: one for one in catalogue.tags}
    features = {one.name: one for one in catalogue.features}
    targets = {one.name: one for one in catalogue.targets}
    found, seen = set[str](), set[str]()
    waiting = [name.name for name in rules.names_in(item.rule)] if isinstance(item, Segment) else [item.name]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in features:
            found.update(features[name].sources)
            waiting += features[name].rests_on
        else:
            rule = tags[name].rule
            waiting += targets[rule.target].features if isinstance(rule, Score) else rests_on(rule)
    return tuple(source.name for source in catalogue.sources if source.name in found)
