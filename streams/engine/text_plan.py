"""The texts that conditions on records compare with, as codes for the kernel."""

from __future__ import annotations

from schemas import rules
from schemas.rules import Expr


def collect_texts(where: Expr, texts: dict[str, dict[str, int]]) -> None:
    """Give every text that a condition compares a field with a code; `texts` holds them by field."""

    def note(left: Expr, right: Expr) -> None:
        if isinstance(left, rules.Name) and isinstance(right, rules.Text) and left.name in texts:
            texts[left.name].setdefault(right.value, len(texts[left.name]))

    match where:
        case rules.Compare(left=left, right=right):
            note(left, right)
        case rules.Among(of=of, values=values):
            for value in values:
                note(of, value)
        case rules.Not(of=of):
            collect_texts(of, texts)
        case rules.Both(parts=parts) | rules.Either(parts=parts):
            for part in parts:
                collect_texts(part, texts)
