"""`python -m streams.web.healthy URL`: exit code 0 where a worker is at work, for a container's health check.

Asked every few seconds, so it imports nothing that takes long.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from typing import Final

WITHIN_S: Final = 4.0
NOT_YET: Final = "starting"


def trouble(url: str) -> str:
    """Why the worker whose `/api/health` that is does not work; an empty text where it does."""
    try:
        with urllib.request.urlopen(url, timeout=WITHIN_S) as answer:
            said = json.load(answer)
            state, recovering = said["state"], said.get("recovering")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"no worker answers at {url}: {error}"
    if recovering and recovering["first"]:
        return f"the worker recovers, {recovering['left']} records of its changelog are left"
    return "the worker is starting" if state == NOT_YET else ""


def main() -> None:
    """Say what is wrong, if anything."""
    sys.exit(trouble(sys.argv[1]) or 0)


if __name__ == "__main__":
    main()
