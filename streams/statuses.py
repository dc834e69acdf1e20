"""What workers last said of themselves, taken from the records of the control topic."""

from __future__ import annotations

from schemas.status import PREFIX, WorkerStatus, read_status


class Statuses:
    """The last status of every worker of an app, as the control topic has them."""

    def __init__(self, app_id: str) -> None:
        self._app_id = app_id
        self._by_key: dict[str, WorkerStatus] = {}

    def on_record(self, key: str, value: bytes | None, _offset: int = 0) -> None:
        """Take a record of the control topic in; others' are passed over."""
        if not key.startswith(PREFIX):
            return
        status = None if value is None else read_status(value)
        if status is None:
            self._by_key.pop(key, None)
        elif status.app_id == self._app_id:
            self._by_key[key] = status

    def latest(self) -> list[WorkerStatus]:
        """One of every worker."""
        return list(self._by_key.values())
