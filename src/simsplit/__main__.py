"""``python -m simsplit`` and the command ``simsplit``."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line, and exit."""
    try:
        from .cli import main as command_line
        from .program import script
    except KeyboardInterrupt:  # Ctrl-C while NumPy is still being imported
        sys.exit(130)
    script(command_line)


if __name__ == "__main__":
    main()
