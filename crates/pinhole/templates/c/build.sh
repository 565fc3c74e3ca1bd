#!/bin/sh
# Builds both halves of the helper NAME. Needs clang and lld (Debian: clang, lld) and pinhole.
set -eu
cd "$(dirname "$0")"
for half in conntrack nat; do
    "${CLANG:-clang}" --target=wasm32 -std=c11 -O2 -Wall -Wextra -Werror -ffreestanding -nostdlib -mbulk-memory \
        -Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=16384 -o "${half}_NAME.wasm" "${half}_NAME.c"
    "${PINHOLE:-pinhole}" helper seal "${half}_NAME.wasm" "${half}_NAME.toml"
done
