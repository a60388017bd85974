#!/bin/sh
# Cargo starts this in the place of rustc for the crates of this workspace (`cargo xtask coverage`): they count which of their lines run.
# Other crates are compiled as ever, so that what was built before is used.
rustc="$1"
shift
# The counters lie in the file itself, so that those of a program count that is killed, or ends without a farewell.
exec "$rustc" "$@" -Cinstrument-coverage -Cllvm-args=-runtime-counter-relocation
