"""Slurm scripts that are printed: what they are made of."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from simsplit.util import job_script

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

FILE = """#!/bin/bash
# About it.
#
#SBATCH --job-name=it
#SBATCH --requeue
##SBATCH --account=...

set -euo pipefail

echo "$@"
"""


def test_a_script_has_its_own_header_above_the_body_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "it.sbatch"
    file.write_text(FILE)
    monkeypatch.setattr(sys, "prefix", "/an env")
    asked = {"job-name": "=mine", "account": None, "array": "=1-3"}
    text = job_script.compose(file, ["Mine.", ""], asked, [job_script.default("A", "it's")], ["x * 2", "b"])
    assert text.splitlines() == [
        "#!/bin/bash",
        "# Mine.",
        "#",
        "#",
        "#SBATCH --job-name=mine",
        "#SBATCH --requeue",
        "#SBATCH --array=1-3",
        "",
        "SIMSPLIT_SETUP=${SIMSPLIT_SETUP:-'/an env'}",
        """A=${A:-'it'"'"'s'}""",
        """set -- 'x * 2' b "$@\"""",
        "",
        "set -euo pipefail",
        "",
        'echo "$@"',
    ]
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert job_script.compose(file, [], {}, [], [], "true\n").endswith("--requeue\n\n\nset -euo pipefail\ntrue\n")
