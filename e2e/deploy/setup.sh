#!/bin/sh
# Makes what these tests need: .cache/e2e-deploy, and .cache/deploy-tools with programs out of Debian packages that are not
# installed for it. Does nothing twice.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
"$root/.ci/environment" "$root/.cache/e2e-deploy" "$root/e2e/deploy/requirements.txt"
tools="prometheus docker-compose nginx-light zstd"
command -v systemd-analyze >/dev/null || tools="$tools systemd"
command -v openssl >/dev/null || tools="$tools openssl"
# shellcheck disable=SC2086 # a list of names
"$root/.ci/unpack" "$root/.cache/deploy-tools" $tools
