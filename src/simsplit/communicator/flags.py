"""The bits that ranks exchange with each agreement.

Each rank sets its own with `Agreement.request`, and all ranks get those of all of them. The lowest bit of the
message itself says that a rank failed (see `agreement`).
"""

from __future__ import annotations

BUSY = 1  # a batch of steps took a moment on this rank: the next one is to be no longer …
SLOW = 2  # … or so long that the next one is to be shorter
CHECKPOINT = 4  # it is time for a checkpoint
REDUCING = 8  # an observer waits for a number of every rank …
RETURNED = 16  # … or has returned: both at once is an error

TERM, USR1, CTRL_C, TIME_LIMIT, SLURM_END, STOP_FILE, OBSERVER = (1 << number for number in range(5, 12))
STOP = TERM | USR1 | CTRL_C | TIME_LIMIT | SLURM_END | STOP_FILE | OBSERVER  # each of them stops the run in order

_WORDS = {
    TERM: "SIGTERM",
    USR1: "SIGUSR1",
    CTRL_C: "Ctrl-C",
    TIME_LIMIT: "the time limit",
    SLURM_END: "the end of the Slurm job",
    STOP_FILE: "the file stop",
    OBSERVER: "an observer",
}


def stop_reason(flags: int) -> str:
    """Return what stopped a run, for people.

    >>> stop_reason(TERM | TIME_LIMIT)
    'SIGTERM, the time limit'
    """
    return ", ".join(words for bit, words in _WORDS.items() if flags & bit)
