#!/bin/sh
# mutants_test.sh ROOT: every mutant still applies, and one that does not is told of. Nothing is built.
set -eu
run="$1/tests/mutants/run"
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 0; }

python3 "$run" --check
python3 "$run" --check locks | grep -q 'mutants apply' || { echo "the mutants of one kind cannot be named"; exit 1; }
! python3 "$run" --check locks/no_such_mutant 2>/dev/null || { echo "an unknown name is accepted"; exit 1; }

# What is wrong with a mutant fails the check.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/kind"
refused() {  # WHAT FILE REPLACE WITH
  printf 'fault: none\nfile: %s\nprogram: test_kv\ntests: *\nreplace:\n%s\nwith:\n%s\n' "$2" "$3" "$4" \
    >"$folder/kind/wrong.mutant"
  ! python3 "$run" --check --folder "$folder" >"$folder/said" 2>&1 || { echo "accepted: $1"; exit 1; }
  grep -q "$1" "$folder/said" || { echo "not said: $1"; cat "$folder/said"; exit 1; }
}
refused 'stands in LICENSE 0 times' LICENSE 'no line of it' 'x'
refused 'times, not once' kv/store.h ' public:' 'x'
refused 'there is no kv/none.cc' kv/none.cc 'x' 'y'
refused 'changes nothing' kv/store.h '#pragma once' '#pragma once'
