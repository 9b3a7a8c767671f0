#!/bin/sh
# Makes the two virtual environments of the tests: .cache/e2e-python (newest SDK) and .cache/e2e-python-old (0.180.0).
# Does nothing when they are as the requirements say.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=$here/../../.cache

make_environment() {
    environment=$cache/$1 requirements=$here/$2
    if cmp -s "$requirements" "$environment/.requirements"; then
        return
    fi
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    cp "$requirements" "$environment/.requirements"
}

mkdir -p "$cache"
make_environment e2e-python requirements.txt
make_environment e2e-python-old requirements-old.txt
