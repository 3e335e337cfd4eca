#!/bin/sh
# install_test.sh: what is installed, as others use it, at another place than it was installed to. kv: builds the example of
# docs/store-library.md, and runs it. The program: builds the tests of docs/programs.md, and explores each.
#
#   sh install_test.sh SOURCE BUILD CXX CXXFLAGS
set -eu
source=$1 build=$2 cxx=$3 flags=$4
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
here=$source/tests/install/example

cmake --install "$build" --component kv --prefix "$scratch/prefix" >/dev/null
# Moved: an installed package must not know where it was built or first installed.
mv "$scratch/prefix" "$scratch/moved"
if grep -rlF -e "$source" -e "$scratch" "$scratch/moved" --include='*.cmake' --include='*.h'; then
  echo "these name the tree that they were built in" && exit 1
fi
cmake -G Ninja -S "$here" -B "$scratch/build" -DCMAKE_PREFIX_PATH="$scratch/moved" -DCMAKE_CXX_COMPILER="$cxx" \
  -DCMAKE_CXX_FLAGS="$flags" >"$scratch/log" 2>&1 || { cat "$scratch/log" && exit 1; }
cmake --build "$scratch/build" >"$scratch/log" 2>&1 || { cat "$scratch/log" && exit 1; }
got=$("$scratch/build/transfer")
want='alice 90
bob 110'
[ "$got" = "$want" ] || { echo "the example says: $got" && exit 1; }

# The documents show these very files: each is in it, line for line, as a block.
shows() {
  awk -v file="$2" '
    BEGIN { while ((getline line < file) > 0) text = text line "\n" }
    { document = document $0 "\n" }
    END { exit index(document, "\n" text "```") == 0 }' "$source/$1" ||
    { echo "$1 does not show $2 as it is" && exit 1; }
}
shows docs/store-library.md "$here/transfer.cc"
shows docs/store-library.md "$here/CMakeLists.txt"

here=$source/tests/install/explored
[ -x "$build/cli/lockstep" ] || exit 0  # only kv was built
cmake --install "$build" --component program --prefix "$scratch/program" >/dev/null
mv "$scratch/program" "$scratch/elsewhere"
cmake -G Ninja -S "$here" -B "$scratch/tests" -DCMAKE_PREFIX_PATH="$scratch/elsewhere" -DCMAKE_CXX_COMPILER="$cxx" \
  -DCMAKE_CXX_FLAGS=-O0 >"$scratch/log" 2>&1 || { cat "$scratch/log" && exit 1; }
cmake --build "$scratch/tests" >"$scratch/log" 2>&1 || { cat "$scratch/log" && exit 1; }
(cd "$scratch/tests" && ctest --output-on-failure) >"$scratch/log" 2>&1 || true
# Name and end of each test.
got=$(sed -n 's/^ *[0-9]*\/[0-9]* Test *#[0-9]*: \([^ ]*\) [. ]*\**\([A-Z][a-z]*\) .*/\1 \2/p' "$scratch/log" | sort)
want='all_of_them Failed
explore.Accounts.TransferCrosswise Failed
explore.Accounts.TransferInOneDirection Passed
explore.Some/Amounts.AreSeenWhole/0 Passed
explore.Some/Amounts.AreSeenWhole/1 Failed'
[ "$got" = "$want" ] || { cat "$scratch/log" && echo "ended as: $got" && exit 1; }
grep -q 'deadlock.*T1 → T2 → T1' "$scratch/log" || { cat "$scratch/log" && echo "no deadlock is named" && exit 1; }
shows docs/programs.md "$here/CMakeLists.txt"
