"""``simsplit bench`` on 1 to 4 ranks."""

from __future__ import annotations

import json

import pytest

import simsplit.util.memory_limits
from simsplit import InputError
from simsplit.cli import main
from simsplit.communicator import connect
from simsplit.communicator.probing import subset

pytestmark = pytest.mark.mpi


def test_it_measures_beside_a_plain_program_and_scales(capsys: pytest.CaptureFixture[str]) -> None:
    communicator = connect()
    main(["bench", "--size", "1003", "--steps", "3", "--rounds", "1", "--json"])
    out = capsys.readouterr().out
    if communicator.rank > 0:
        assert out == ""
        return
    found = json.loads(out)
    assert list(found["programs"])[:4] == ["fill", "fill, fresh", "one process", "plain MPI"]
    assert found["programs"]["plain MPI"]["times_plain"] == 1
    assert all(0 <= found["programs"][name]["communication"] < 1 for name in ("plain MPI", "simsplit, gatherv, numpy"))
    size = communicator.size
    assert any(name.startswith("simsplit, shared, ") for name in found["programs"]) == (size > 1)
    counts = sorted({*(count for count in (1, 2, 4) if count <= size), size})
    assert [(each["kind"], each["ranks"], each["rows"]) for each in found["scaling"]] == [
        *(("strong", count, 1003) for count in counts),
        *(("weak", count, 1003 // size * count) for count in counts),
    ]
    for each in found["scaling"]:
        assert 0 < each["simsplit_steps"] < each["simsplit"]
        one = next(other for other in found["scaling"] if (other["kind"], other["ranks"]) == (each["kind"], 1))
        work = each["rows"] / one["rows"]
        for name in ("fill", "simsplit", "simsplit_steps"):
            assert each[f"{name}_speedup"] == pytest.approx(work * one[name] / each[name])


def test_what_does_not_fit_on_one_rank_is_an_error_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    communicator = connect()
    if communicator.rank == communicator.size - 1:
        monkeypatch.setattr(simsplit.util.memory_limits, "available", lambda **_: 0)
    with pytest.raises(InputError, match="measuring on this rank takes") as caught:
        main(["bench", "--size", "1000", "--steps", "3", "--rounds", "1"])
    assert [failure.rank for failure in caught.value.failures] == [communicator.size - 1]
    assert sum(communicator.allgather(1)) == communicator.size


def test_the_first_ranks_work_while_the_others_rest() -> None:
    communicator = connect()
    for count in range(1, communicator.size + 1):
        with subset(communicator, count) as some:
            assert (some is None) == (communicator.rank >= count)
            if some is not None:
                assert (some.rank, some.size) == (communicator.rank, count)
                assert some.allgather(some.rank) == list(range(count))
