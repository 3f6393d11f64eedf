#!/bin/sh
# A sweep on a laptop: each row of a table is a run, two at a time; then one table and one picture of all.
set -e
cat >decay.csv <<'EOF'
name,rate
slow,0.1
medium,0.5
fast,2.0
EOF
simsplit sweep decay.csv --run -j 2 --kernel "x * exp(-rate * t)" --initial 1 --size 100 --delta-t 0.1 --steps 50 --quiet
python - <<'EOF'
import csv

for run in csv.DictReader(open("runs/decay/table.csv")):
    print(f"{run['run']}: {float(run['mean']):.6f} at t = {float(run['last_time']):.1f}")
EOF
