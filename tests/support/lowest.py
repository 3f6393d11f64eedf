"""Print the lowest version of each package that pyproject.toml allows, as constraints for pip."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path


def lowest() -> list[str]:
    """Return ``package==version`` for each lower bound."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    return [each.replace(">=", "==") for each in wanted if re.fullmatch(r"[\w-]+>=[\w.]+", each)]


if __name__ == "__main__":
    print(*lowest(), sep="\n")
