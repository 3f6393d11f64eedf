#!/bin/sh
# A long run that is stopped, goes on with another number of ranks, gives the bits of one that never stopped,
# and is opened in Python.
set -e
python -c 'import numpy as np; np.save("start.npy", np.random.default_rng(1).normal(size=(30, 3)))'
problem='--kernel lorenz --input start.npy --delta-t 0.01 --steps 500 --quiet'
mpiexec -n 3 simsplit run $problem --time-limit 0 -o runs/long || test $? = 75 # stopped in order
mpiexec -n 2 simsplit resume runs/long --quiet
simsplit run $problem -o runs/whole
python - <<'EOF'
import numpy as np
import simsplit

long, whole = simsplit.open("runs/long"), simsplit.open("runs/whole")
assert np.array_equal(long.history[:], whole.history[:])
print(f"{long.status}: {len(long.record['attempts'])} starts, {len(long.history)} steps, the same bits")
EOF
