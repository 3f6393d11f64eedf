"""How long the tests try things at random: the variable TESTS_PROFILE is ``dev``, as by default, or ``ci``.

What a change lands with is tried by ``ci``, as `.ci/run` does; who works on it gets an answer sooner by ``dev``.
"""

from __future__ import annotations

import os
from typing import Final

from hypothesis import HealthCheck, settings

PROFILES = ("dev", "ci")
PROFILE: Final = os.environ.get("TESTS_PROFILE") or "dev"
CI: Final = PROFILE == "ci"
_SHARE = 5  # of the examples of ci, dev tries one in so many
_FEWEST = 20


def examples(count: int) -> settings:
    """Return the decorator of a test that tries so many examples in the profile ci."""
    return settings(max_examples=_number(count, PROFILE))


def load() -> None:
    """Let what has no decorator of its own follow the profile as well."""
    if PROFILE not in PROFILES:
        raise ValueError(f"TESTS_PROFILE must be one of {', '.join(PROFILES)}, not {PROFILE!r}")
    for name in PROFILES:
        # No example of a test is to be refused because it took long on a busy machine.
        slow = [HealthCheck.too_slow]
        settings.register_profile(name, max_examples=_number(100, name), deadline=None, suppress_health_check=slow)
    settings.load_profile(PROFILE)


def _number(count: int, profile: str) -> int:
    return count if profile == "ci" else min(count, max(_FEWEST, count // _SHARE))
