"""The fuzzer finds nothing in a short time, and would say if it found something."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.launching import run

pytestmark = [pytest.mark.launch]
FUZZ = str(Path(__file__).parents[2] / "support" / "fuzz_frames.py")


def test_frames_and_codec_withstand_inputs_at_random() -> None:
    ended = run([sys.executable, FUZZ, "20000"])
    assert ended.status == 0, ended.err
    assert ended.out.startswith("20,000 inputs")


def test_what_must_not_happen_is_noticed() -> None:
    program = f"""
import runpy, sys
from simsplit.remote.wire import values
values.dtype_of = lambda text: __import__("antigravity")
sys.argv = ["fuzz.py", "20000"]
runpy.run_path({FUZZ!r}, run_name="__main__")
"""
    ended = run([sys.executable, "-c", program])
    assert ended.status == 1
    assert "antigravity" in ended.err
