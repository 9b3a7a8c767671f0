#!/bin/sh
# Makes the two virtual environments of the tests: .cache/e2e-python (newest SDK) and .cache/e2e-python-old (0.180.0).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
"$root/.ci/environment" "$root/.cache/e2e-python" "$here/requirements.txt"
"$root/.ci/environment" "$root/.cache/e2e-python-old" "$here/requirements-old.txt"
