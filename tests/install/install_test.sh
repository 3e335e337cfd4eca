#!/bin/sh
# install_test.sh: kv alone, as others use it: installs it, builds the example of docs/store-library.md against what
# was installed, runs it.
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

# The document shows these very files: each is in it, line for line, as a block.
for file in transfer.cc CMakeLists.txt; do
  awk -v file="$here/$file" '
    BEGIN { while ((getline line < file) > 0) text = text line "\n" }
    { document = document $0 "\n" }
    END { exit index(document, "\n" text "```") == 0 }' "$source/docs/store-library.md" ||
    { echo "docs/store-library.md does not show tests/install/example/$file as it is" && exit 1; }
done
