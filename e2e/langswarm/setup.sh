#!/bin/sh
# Makes the two virtual environments of the tests: .cache/e2e-langswarm (0.1.0) and .cache/e2e-langswarm-old
# (0.0.54.dev24, the last version with the self-hosted tool). Does nothing when they are as the requirements say.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=$here/../../.cache

make_environment() {
    environment=$cache/$1 requirements=$here/$2 version=$3
    if cmp -s "$requirements" "$environment/.requirements"; then
        return
    fi
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    # What it names as dependencies would be some gigabytes: models, clouds, messengers.
    "$environment/bin/pip" install --quiet --disable-pip-version-check --no-deps "langswarm==$version"
    cp "$requirements" "$environment/.requirements"
}

mkdir -p "$cache"
make_environment e2e-langswarm requirements.txt 0.1.0
make_environment e2e-langswarm-old requirements-old.txt 0.0.54.dev24
