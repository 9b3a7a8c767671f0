#!/bin/sh
# Starts a server on a free port with a state folder of its own, runs quickstart.py against it, stops it:
# e2e/quickstart.sh PITLANE PYTHON. The first time on a machine this makes the default image, which takes minutes.
set -eu
pitlane=$1
python=$2
here=$(cd "$(dirname "$0")" && pwd)
cache=$here/../.cache
mkdir -p "$cache"
state=$(mktemp -d "$cache/quickstart-state.XXXXXX")
# Sockets' paths must be short.
run=$(mktemp -d /tmp/pitlane-quickstart.XXXXXX)
ready=$run/ready
server=

finish() {
    status=$?
    trap - EXIT INT TERM
    if [ -n "$server" ]; then
        kill -TERM "$server" 2>/dev/null || true
        wait "$server" || status=$?
    fi
    rm -rf "$state" "$run"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

printf '\n=== a server with a state folder of its own\n'
mkfifo "$ready"
"$pitlane" serve --state "$state/state" --run-dir "$run/run" --listen 127.0.0.1:0 --prepared 2 --stop-sandboxes \
    --log "${PITLANE_LOG:-warn,pitlane::serve::preparation=info}" --log-format human --json >"$ready" &
server=$!
# The line comes when the server is ready; the end of the file, when it has ended instead.
if ! read -r line <"$ready"; then
    echo 'the server did not start' >&2
    exit 1
fi
DAYTONA_API_URL=$(printf '%s' "$line" | "$python" -c 'import json, sys; print(json.load(sys.stdin)["url"])')
DAYTONA_API_KEY=$(cat "$state/state/admin-key")
export DAYTONA_API_URL DAYTONA_API_KEY

printf '\n=== %s against %s\n' quickstart.py "$DAYTONA_API_URL"
"$python" "$here/quickstart.py"
printf '\nIt worked. To keep a server: %s serve\n' "$pitlane"
