#!/usr/bin/env bash
# A Prefect server, a worker and the deployments of prefect.yaml on this machine, until Ctrl-C. Loopback only.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH" BEVPRIOR_HOME="$PWD"
export PREFECT_HOME="${PREFECT_HOME:-$PWD/.prefect}" PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=1
port="${PORT:-4200}"
export PREFECT_API_URL="http://127.0.0.1:$port/api" PREFECT_UI_API_URL="http://127.0.0.1:$port/api"

echo "starting Prefect at http://127.0.0.1:$port (about half a minute)"
trap 'trap - EXIT; kill $(jobs -p) 2>/dev/null || true; wait' EXIT
prefect server start --host 127.0.0.1 --port "$port" >/dev/null &
for _ in $(seq 120); do
    python -c "import urllib.request as u; u.urlopen('$PREFECT_API_URL/health', timeout=1)" 2>/dev/null && break
    kill -0 $! 2>/dev/null || { echo "serve: the server did not start; is port $port taken? (PORT=4300 make serve)" >&2; exit 2; }
    sleep 0.5
done
prefect --no-prompt work-pool create --type process --overwrite bevprior >/dev/null
prefect --no-prompt deploy --all >/dev/null
echo "Prefect is at http://127.0.0.1:$port; start a run there, or with"
echo "    PREFECT_API_URL=$PREFECT_API_URL .venv/bin/prefect deployment run bevprior/demo"
mkdir -p "$PREFECT_HOME/tmp"  # Prefect's runner would make /tmp/runner_storage, which may be another user's
TMPDIR="$PREFECT_HOME/tmp" prefect worker start --pool bevprior
