"""The examples, run as anyone would run them."""

from __future__ import annotations

import pytest

from tests.support.launching import BIN, ROOT, mpiexec, run

pytestmark = [pytest.mark.launch]

EXPECTED = """\
999
322
122
0.2222222222222222
.....
String1String2
A method that crashes on the server:
"""


def test_the_simple_example_prints_its_results_and_then_the_remote_traceback() -> None:
    folder = ROOT / "examples" / "simple"
    python = str(BIN / "python")
    command = [*mpiexec(1, folder / "server.py"), ":", "-n", "1", python, str(folder / "client.py")]
    ended = run(command)
    assert ended.status == 0, ended.err
    assert ended.out.startswith(EXPECTED)
    remote, local = ended.out.removeprefix(EXPECTED).split("The above exception was the direct cause")
    assert "On rank 0 (host " in remote
    assert "in begin" in remote
    assert "in halve" in remote
    assert "client.py" in local
    assert local.rstrip().endswith("TypeError: unsupported operand type(s) for /: 'str' and 'int'")


PROGRAM = """
import numpy as np, simsplit
from simsplit import remote
problem = simsplit.Problem(np.arange(1000.0), simsplit.kernels.affine(), delta_t=0.5, steps=5)
with remote.join() as here:
    result = remote.simulate(here, problem)
expected = simsplit.run(problem).history
if result is not None:
    assert result.history.tobytes() == expected.tobytes()
    print("identical", result.calculators)
"""


@pytest.mark.parametrize("ranks", [1, 3])
def test_the_cluster_example_gives_the_bits_of_the_collective_way(ranks: int) -> None:
    ended = run(mpiexec(ranks, "-c", PROGRAM))
    assert ended.status == 0, ended.err
    assert ended.out == f"identical {[0] if ranks == 1 else [1, 2]}\n"


FAILS = """
import time
from simsplit import remote
@remote.expose
class Thing:
    def method(self): return 1
with remote.join() as here:
    here.serve(Thing(), object="thing")
    if here.rank == 1:
        here.wait_until(lambda: False, 0.2)
        1 / 0
    other = here.proxy("MPI:thing@1")
    try:
        for _ in range(10**9): other.method()
    except ConnectionError as error:
        print("gone", flush=True)
"""


def test_a_program_that_fails_on_one_rank_ends_on_all() -> None:
    ended = run(mpiexec(2, "-c", FAILS))
    assert ended.status != 0
    assert "gone" in ended.out
    assert "ZeroDivisionError" in ended.err


FORGETS = """
from simsplit import remote
@remote.expose
class Thing:
    def method(self): return 1
here = remote.join()
here.serve(Thing(), name=f"thing{here.rank}")
print(here.proxy(f"MPINAME:thing{1 - here.rank}").method())
"""


def test_a_program_that_forgets_to_leave_leaves_at_its_end() -> None:
    ended = run(mpiexec(2, "-c", FORGETS))
    assert ended.status == 0, ended.err
    assert "".join(ended.out.split()) == "11"  # lines of two ranks may be torn


LEAVES = """
import sys, time
from contextlib import suppress
import numpy as np
from simsplit import remote
@remote.expose
class Thing:
    def echo(self, array): return array
    def ready(self): global ready; ready = True
ready = False
with suppress(ZeroDivisionError), remote.join(settings=remote.Settings(leave_wait=0.2)) as here:
    here.serve(Thing(), object="thing")
    other = here.proxy(f"MPI:thing@{1 - here.rank}")
    if here.rank == 1:
        here.wait_until(lambda: ready)
        if sys.argv[1] == "from":
            future = other.echo.submit(np.ones(10**7))
        else:
            here._endpoint.progress = lambda: False  # takes nothing more
        1 / 0
    other.ready()
    future = other.echo.submit(np.ones(10**7)) if sys.argv[1] == "to" else None
    time.sleep(2)  # longer than the other rank waits
    if future is not None:
        print(type(future.exception()).__name__, flush=True)
if here.rank == 0: print("left", flush=True)
"""


@pytest.mark.parametrize(("way", "printed"), [("from", ["left"]), ("to", ["PeerGoneError", "left"])])
def test_a_rank_that_leaves_amid_an_array_does_not_break_the_others(way: str, printed: list[str]) -> None:
    ended = run(mpiexec(2, "-c", LEAVES, way))
    assert ended.status == 0, ended.err  # it would be another if MPI failed; and a launcher ends all if one fails
    assert ended.out.split() == printed, ended.err
