"""What stands in for kopf."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import kopf
import pytest


def replace_kopf(monkeypatch: pytest.MonkeyPatch, operator: Callable[..., Awaitable[None]]) -> None:
    """Have `operator` run in place of kopf's tasks, with the options for them."""

    async def spawn_tasks(**options: Any) -> Any:
        return options

    async def run_tasks(tasks: Any, ignored: Any) -> None:
        assert asyncio.current_task() in ignored  # as every task that kopf must not cancel
        await operator(**tasks)

    monkeypatch.setattr(kopf, "spawn_tasks", spawn_tasks)
    monkeypatch.setattr(kopf, "run_tasks", run_tasks)
