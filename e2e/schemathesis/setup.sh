#!/bin/sh
# Makes the virtual environment of these tests: .cache/e2e-schemathesis. Does nothing when it is as the requirements say.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
environment=$here/../../.cache/e2e-schemathesis requirements=$here/requirements.txt
if cmp -s "$requirements" "$environment/.requirements"; then
    exit
fi
mkdir -p "$here/../../.cache"
rm -rf "$environment"
python3 -m venv "$environment"
"$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
cp "$requirements" "$environment/.requirements"
