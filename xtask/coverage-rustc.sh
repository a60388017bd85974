#!/bin/sh
# Cargo starts this in the place of rustc for the crates of this workspace (`cargo xtask coverage`): those named in INSTRUMENTED count
# which of their lines run. Everything else is compiled as ever, so that what was built before is used.
rustc="$1"
shift
case " $INSTRUMENTED " in
*" $CARGO_CRATE_NAME "*) exec "$rustc" "$@" -Cinstrument-coverage ;;
*) exec "$rustc" "$@" ;;
esac
