#!/bin/sh
# The bifurcation diagram of the logistic map: 2,000 values of r, 300 of 1,000 steps each, one picture.
set -e
python -c 'import numpy as np; np.save("r.npy", np.linspace(2.8, 4, 2000))'
simsplit run --kernel "r * x * (1 - x)" --kind step --set r=r.npy --size 2000 --initial 0.3 \
  --steps 1000 --keep last:300 --quiet -o runs/logistic
simsplit plot runs/logistic --against r -o bifurcation.png
