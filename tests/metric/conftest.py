"""What the tests of metrics share."""

from __future__ import annotations

from tests.services.patience import time_for_answers  # noqa: F401
