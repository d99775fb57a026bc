#!/usr/bin/env bash
# Makes build/bench: .venv and, beside it, the packages of benchmarks/contenders.txt. What cannot be had is left out.
set -euo pipefail
cd "$(dirname "$0")/.."

bench=build/bench
[ -x $bench/bin/pip ] || .venv/bin/python -m venv $bench
site() { "$1" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }
site .venv/bin/python >"$(site $bench/bin/python)/project.pth"
sed '/^#/d' benchmarks/contenders.txt | while read -r package; do
    $bench/bin/python -m pip install --quiet --disable-pip-version-check --no-deps "$package" >build/contenders.log 2>&1 ||
        echo "contenders: no $package (build/contenders.log)" >&2
done
