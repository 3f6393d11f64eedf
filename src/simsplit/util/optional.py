"""Import optional packages on demand."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..errors import InputError


def import_optional(module: str, what: str, extra: str) -> Any:
    """Import a module of an optional package.

    Parameters
    ----------
    module : str
    what : str
        Who needs which package, for people: "Zarr needs zarr".
    extra : str
        What simsplit calls the extra that brings it.

    Raises
    ------
    InputError
        If it is not installed, or does not work with what else is.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(f"{what} ({error}). Install it with: pip install 'simsplit[{extra}]'") from error
    except Exception as error:  # whatever a package raises that was built for another NumPy
        reason, package = str(error).partition("\n")[0], module.partition(".")[0]
        raise InputError(
            f"{what}, which is installed but cannot be imported ({reason}). Upgrade it: pip install --upgrade {package}"
        ) from error
