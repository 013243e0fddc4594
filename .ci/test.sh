#!/bin/sh
# Every test once, in two runs side by side: labs wait most of the time, for engines, timers and packets.
# The argument is the folder of the virtual environment's programs. What the run beside the labs printed comes last.
set -u
pytest="$1/pytest -q -p no:cacheprovider --durations=15"
labs="tests/functional tests/e2e tests/bench"

beside_labs() {
    trap 'kill "$running"; exit 143' TERM
    status=0
    $pytest tests/unit tests/meta tests/contract & running=$!
    wait "$running" || status=$?
    $pytest -m browser $labs & running=$!
    wait "$running" || status=$?
    exit "$status"
}

printed=$(mktemp)
beside_labs >"$printed" 2>&1 &
beside=$!
trap 'kill "$beside" 2>/dev/null; rm -f "$printed"' EXIT
trap 'exit 130' INT TERM
status=0
$pytest -m "not browser" $labs || status=$?
wait "$beside" || status=$?
cat "$printed"
exit "$status"
