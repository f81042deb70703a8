"""`make bench`: what can be measured without a broker, one after the other, in about a minute."""

import subprocess
import sys

PARTS = (
    ("bench.sink",),
    ("bench.limit", "--seconds", "1"),
    ("bench.wire", "--seconds", "0.5", "--rounds", "2"),
)

if __name__ == "__main__":
    for part in PARTS:
        print(f"==> python -m {' '.join(part)}", flush=True)
        done = subprocess.run([sys.executable, "-m", *part], check=False)
        if done.returncode != 0:
            sys.exit(done.returncode)
