"""A throw-away Slurm cluster on this host: its daemons in the foreground, everything under one folder.

Nothing of the host's own Slurm is read or touched: configuration, keys, sockets, ports and logs are the
cluster's own. It works as root and as an ordinary user.
"""

from __future__ import annotations

import getpass
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

SBIN = ("/usr/sbin", "/sbin", "/usr/local/sbin")  # where the daemons are, though not on every user's PATH
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "scancel", "sinfo", "squeue", "setpriv")

_MOST_JOBS = 60_000_000  # Slurm counts to 67 million by default
_DAEMONS = {"munged", "slurmctld", "slurmscriptd", "slurmd"}  # slurmscriptd: a part of slurmctld

_CONFIGURATION = """\
ClusterName=throwaway
# MPICH calls its shared memory by the number of the job. Two clusters on one host must not use the same, nor one that
# was left by a job that was killed.
FirstJobId={first_job}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
# With the default of two minutes, a requeued job would wait as long for its second start.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=1000
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=2,batch_sched_delay=0,sched_min_interval=0
SlurmdParameters=config_overrides
ReturnToService=2
MailProg=/bin/true
JobRequeue=1
KillWait=5
MinJobAge=3600
SlurmctldTimeout=60
SlurmdTimeout=60
InactiveLimit=0
Waittime=0
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=30 DefaultTime=5 State=UP OverSubscribe=NO
"""
_NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} RealMemory=64000 State=UNKNOWN "
    "CPUs={cores} Boards=1 SocketsPerBoard=1 CoresPerSocket={cores} ThreadsPerCore=1"
)


def missing() -> list[str]:
    """Return the programs that a cluster needs and that are not here."""
    return [name for name in PROGRAMS if _program(name) is None]


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(SBIN))


@dataclass
class Cluster:
    """A controller and some nodes, from entering the `with` block to leaving it.

    Parameters
    ----------
    folder : Path
        Where all files go. It must be empty, and stay until the cluster has stopped.
    nodes, cores : int
        How many nodes, and how many cores each of them pretends to have.
    """

    folder: Path
    nodes: int = 2
    cores: int = 4

    def __enter__(self) -> Self:
        """Start the daemons, and wait until the nodes are idle."""
        self.folder = self.folder.resolve()
        self._write_files()
        with ExitStack() as stack:
            socket_of_munge = self.folder / "munge.socket"
            self._start(
                stack,
                "munged",
                *("--foreground", "--force"),  # force: a socket below /tmp
                f"--key-file={self.folder}/munge.key",
                f"--socket={socket_of_munge}",
                f"--pid-file={self.folder}/munged.pid",
                f"--log-file={self.folder}/munged.log",
                f"--seed-file={self.folder}/munged.seed",
            )
            self._wait("munged", socket_of_munge.exists)
            self._start(stack, "slurmctld", "-D", "-c")
            for node in self._names:
                self._start(stack, "slurmd", "-D", "-N", node)
            stack.callback(self._kill_what_is_left)  # before the daemons end: it needs them
            stack.callback(self._cancel_all)
            self._wait("the nodes", lambda: self.ask("sinfo", "-h", "-N", "-o", "%T").split() == ["idle"] * self.nodes)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the jobs, then the daemons: what this cluster started and nothing else."""
        self._stack.close()

    @property
    def configuration(self) -> Path:
        """The file that Slurm's commands find the cluster by, through the variable SLURM_CONF."""
        return self.folder / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which Slurm's commands talk to this cluster."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))}
        return {**kept, "SLURM_CONF": str(self.configuration)}

    def ask(self, *command: str) -> str:
        """Return what a command of Slurm prints, or nothing if it fails."""
        with suppress(subprocess.TimeoutExpired):
            done = subprocess.run(
                command, env=self.environment, capture_output=True, text=True, timeout=60, check=False
            )
            return done.stdout
        return ""

    @property
    def _names(self) -> list[str]:
        return [f"n{number}" for number in range(1, self.nodes + 1)]

    def _write_files(self) -> None:
        self.folder.chmod(0o755)
        (self.folder / "state").mkdir()
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(1024))
        host = socket.gethostname().partition(".")[0]
        ports = _free_ports(1 + self.nodes)
        for node in self._names:
            (self.folder / f"spool-{node}").mkdir()
        nodes = [
            _NODE.format(name=name, host=host, port=port, cores=self.cores)
            for name, port in zip(self._names, ports[1:], strict=True)
        ]
        self.configuration.write_text(
            _CONFIGURATION.format(
                host=host,
                port=ports[0],
                user=getpass.getuser(),
                folder=self.folder,
                first_job=random.randrange(1, _MOST_JOBS),
                nodes="\n".join(nodes),
            )
        )

    def _start(self, stack: ExitStack, name: str, *arguments: str) -> None:
        """Start a daemon, out of reach of the terminal's Ctrl-C; it ends with this process, however that ends."""
        program = _program(name)
        assert program is not None
        with (self.folder / f"{name}.out").open("ab") as output:
            daemon = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", program, *arguments],  # noqa: S607, as found on the PATH
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        stack.callback(_end, daemon)

    def _wait(self, what: str, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not done():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{what} did not come up:\n{self.logs()}")
            time.sleep(0.05)

    def logs(self) -> str:
        """Return the last lines that each daemon wrote."""
        files = sorted(self.folder.glob("*.log")) or sorted(self.folder.glob("*.out"))
        return "\n".join(
            f"== {file.name}\n" + "\n".join(file.read_text(errors="replace").splitlines()[-15:]) for file in files
        )

    def _cancel_all(self) -> None:
        deadline = time.monotonic() + 120
        while jobs := self.ask("squeue", "-h", "-o", "%A").split():
            self.ask("scancel", *jobs)
            if time.monotonic() > deadline:
                return
            time.sleep(0.2)

    def _kill_what_is_left(self) -> None:
        """Kill what was started by way of this cluster and outlived its job: it has the cluster's name with it."""
        mark = f"SLURM_CONF={self.configuration}".encode()
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                started = (entry / "environ").read_bytes().split(b"\0")
                if mark in started and (entry / "comm").read_text().strip() not in _DAEMONS:
                    os.kill(int(entry.name), signal.SIGKILL)


def _end(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(10)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
