#!/bin/sh
# Builds both halves of the helper NAME. Needs npm and pinhole.
set -eu
cd "$(dirname "$0")"
[ -d node_modules ] || npm install --no-audit --no-fund
for half in conntrack nat; do
    npx asc "${half}_NAME.ts" --outFile "${half}_NAME.wasm" --config asconfig.json
    "${PINHOLE:-pinhole}" helper seal "${half}_NAME.wasm" "${half}_NAME.toml"
done
