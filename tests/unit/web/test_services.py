"""The services."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from tests.support.site import Site


def test_nobody_exchanges_a_service_at_run_time(shop: Site) -> None:
    with pytest.raises(FrozenInstanceError):
        shop.services.live = None  # type: ignore[misc]
