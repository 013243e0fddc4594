#!/bin/sh
# Every test, in two runs side by side: those in a browser wait for it most of the time.
# The argument is the folder of the virtual environment's programs. What the second run printed comes last.
set -u
bin=$1
printed=$(mktemp)
"$bin/pytest" -q -p no:cacheprovider -m browser tests >"$printed" 2>&1 &
beside=$!
trap 'kill "$beside" 2>/dev/null; rm -f "$printed"' EXIT
trap 'exit 130' INT TERM
# First what is quick to fail; one run, so that servers and labs are started once.
"$bin/pytest" -q --durations=15 -m "not browser" \
    tests/unit tests/meta tests/contract tests/functional tests/e2e tests/bench
status=$?
wait "$beside" || status=$?
cat "$printed"
exit "$status"
