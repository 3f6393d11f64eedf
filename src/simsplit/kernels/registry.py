"""Make a kernel from text: a built-in name, an expression, or the user's own module."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from ..errors import InputError
from .base import ON_GRID, UnknownParameterError

if TYPE_CHECKING:
    import numpy as np

    from .base import Kernel

BUILT_IN = ("affine", "gbm", "logistic", "lorenz", "oscillator", "sir")
RESERVED = ("dtype", "folder", "kind", "name", "self")  # words that a parameter cannot be called by


def load(
    text: str,
    /,
    *,
    kind: Literal["map", "step"] | None = None,
    folder: str | None = None,
    dtype: np.dtype[Any] | None = None,
    **parameters: Any,
) -> Kernel:
    """Return the kernel that `text` asks for.

    Parameters
    ----------
    text : str
        The name of a built-in kernel, ``package.module:function`` (or ``:class``, a `Kernel`), or an
        expression, such as ``"(offset + x * multiplier) * t"``.
    kind : {"map", "step"}, optional
        Of a function or an expression; "map" if it is not given.
    folder : str, optional
        Where modules are looked for besides Python's own path. The current folder is not, unless given.
    dtype : numpy.dtype, optional
        Of what a function returns.
    **parameters : number or array_like

    Raises
    ------
    InputError
        If there is no such kernel, or its parameters are others.
    """
    module, colon, name = text.partition(":")
    if colon and all(part.isidentifier() for part in [*module.split("."), *name.split(".")]):
        from .user_module import import_kernel

        return import_kernel(module, name, kind, folder, parameters, dtype)
    if dtype is not None:
        raise InputError(f"result_dtype is for a function of your own; of the kernel {text} it is known. Leave it out.")
    if text in BUILT_IN:
        return _built_in(text, kind, parameters)
    variables = ("x", "t", "k", "row", "delta_t", "random", *ON_GRID)
    if text.isidentifier() and text not in (*variables, *parameters):
        import difflib

        near = difflib.get_close_matches(text, BUILT_IN, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise InputError(
            f"there is no kernel {text!r}. {hint}Give one of {', '.join(BUILT_IN)}, package.module:function, "
            'or an expression such as "(offset + x * multiplier) * t".'
        )
    from .expressions.kernel import expression

    return expression(text, kind=kind or "map", **parameters)


def _built_in(name: str, kind: str | None, parameters: dict[str, Any]) -> Kernel:
    make = getattr(import_module(__package__), name)
    defaults: dict[str, Any] = make.__kwdefaults__ or {}
    for parameter in parameters:
        if parameter not in defaults:
            raise UnknownParameterError(f"the kernel {name}", parameter, list(defaults))
    kernel: Kernel = make(**parameters)
    if kind not in (None, kernel.kind):
        raise InputError(f"the kernel {name} is a {kernel.kind} kernel, not a {kind} kernel")
    return kernel
