#!/usr/bin/env bash
# Makes .venv and installs exactly what requirements.lock names. Needs Python 3.11; pip and venv are found or fetched.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    echo "setup: $1" >&2
    exit 2
}

find_python() {
    local candidate
    for candidate in python3.11 python3 python; do
        if command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "no Python 3.11 on PATH ($(python3 --version 2>/dev/null || echo 'no python3')): install python3.11"
}

# Debian splits venv and pip off from Python: try what is there, then the package manager, as root or as anyone.
pip_from_package_manager() {
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" = 0 ]; then
        echo "setup: installing python3-venv"
        { apt-get update && apt-get install -y --no-install-recommends python3-venv; } >build/apt.log 2>&1
    else
        echo "setup: fetching pip's own package into build/, no root needed"
        { cd build && apt-get download python3-pip-whl && dpkg -x python3-pip-whl_*.deb pip; } >build/apt.log 2>&1
    fi
}

make_venv() {
    local wheel
    mkdir -p build
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv .venv
    else
        "$python" -m venv --without-pip .venv
        "$python" -c 'import pip' 2>/dev/null || (pip_from_package_manager) ||
            fail "no pip for $python and none could be fetched (build/apt.log): install python3-venv"
        if "$python" -c 'import ensurepip' 2>/dev/null; then
            "$python" -m venv .venv
        elif wheel=$(ls build/pip/usr/share/python-wheels/pip-*.whl 2>/dev/null); then
            .venv/bin/python "$wheel/pip" install --quiet --no-index "$wheel"
        else
            "$python" -m pip --python .venv/bin/python install --quiet pip
        fi
    fi
}

python=$(find_python)
[ -x .venv/bin/pip ] || make_venv
packages=$(grep -c == requirements.lock)
.venv/bin/python -m pip install --disable-pip-version-check --requirement requirements.lock 2>&1 |
    "$python" scripts/pip_progress.py "$packages" ||
    fail "pip could not install requirements.lock (build/pip.log has its output)"
.venv/bin/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation --editable . >>build/pip.log 2>&1 ||
    fail "pip could not install the project itself (build/pip.log has its output)"
touch .venv/.stamp
