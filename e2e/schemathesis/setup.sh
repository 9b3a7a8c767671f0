#!/bin/sh
# Makes the virtual environment of these tests: .cache/e2e-schemathesis.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
"$root/.ci/environment" "$root/.cache/e2e-schemathesis" "$root/e2e/schemathesis/requirements.txt"
