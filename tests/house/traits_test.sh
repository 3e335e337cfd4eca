#!/bin/sh
# traits_test.sh SOURCE CXX CXXFLAGS: a store or a protocol that leaves out a trait does not compile. All that it may leave
# out is left out here, each in an initialiser of its own; the compiler must name every one.
set -eu
source=$1 cxx=$2 flags=$3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export LC_ALL=C

# fields STRUCT HEADER: the members of a struct of data, one declaration a line.
fields() {
  awk -v head="struct $1 {" '
    $0 == head { inside = 1; next }
    inside && /^};/ { exit }
    inside && !/^ *\/\// && /;/ {
      sub(/;.*/, "")
      if (match($0, /\(\*[a-z_]+\)/)) { print substr($0, RSTART + 2, RLENGTH - 3); next }
      if (/\(/) next  # a function
      sub(/ = .*/, "")
      print $NF
    }' "$source/$2"
}

# initialisers STRUCT HEADER: a function for each member, which leaves out that one; and one that leaves out none.
initialisers() {
  names=$(fields "$1" "$2")
  [ -n "$names" ] || { echo "$2 has no struct $1 with members" >&2 && exit 1; }
  for left_out in $names none; do
    printf '%s %s_without_%s() {\n  return {' "$3" "$1" "$left_out"
    for name in $names; do [ "$name" = "$left_out" ] || printf '.%s = {}, ' "$name"; done
    printf '};\n}\n'
  done
}

# check STRUCT HEADER TYPE
check() {
  { echo "#include \"$2\""; initialisers "$1" "$2" "$3"; } >"$scratch/$1.cc"
  # shellcheck disable=SC2086  # flags are words
  if "$cxx" -std=c++20 $flags -fsyntax-only -I"$source" "$scratch/$1.cc" 2>"$scratch/said"; then
    echo "$1: every member may be left out" && exit 1
  fi
  for name in $(fields "$1" "$2"); do
    if ! grep -q "In function .*$1_without_$name()" "$scratch/said" || ! grep -q "$1::$name'" "$scratch/said"; then
      echo "$1::$name may be left out" && exit 1
    fi
  done
  if grep -q "_without_none" "$scratch/said"; then cat "$scratch/said" && exit 1; fi
}

check ProtocolInfo kv/store.h lockstep::kv::ProtocolInfo
check EmulatedDatabase engine/store/traits.h lockstep::EmulatedDatabase
check StoreModel engine/store/traits.h lockstep::StoreModel
check ProtocolTraits engine/store/traits.h lockstep::ProtocolTraits
check StoreOption engine/store/traits.h lockstep::StoreOption
check StoreTraits engine/store/traits.h lockstep::StoreTraits
check BackendKind engine/store/backend.h lockstep::BackendKind
check ServerKind engine/server/server_kind.h lockstep::server::ServerKind
