#!/bin/sh
# Builds both halves of the helper NAME. Needs cargo, and `rustup target add wasm32-unknown-unknown`.
set -eu
cd "$(dirname "$0")"
target="${CARGO_TARGET_DIR:-target}"
for half in conntrack nat; do
    cargo build --release --target wasm32-unknown-unknown --target-dir "$target" --features "$half"
    cp "$target/wasm32-unknown-unknown/release/LIBRARY.wasm" "${half}_NAME.wasm"
done
