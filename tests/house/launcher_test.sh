#!/bin/sh
# launcher_test.sh ROOT: tests of ./lockstep. Every tool it calls is a stub in a folder of its own, so nothing is built
# or installed, any system can be played, and what was run is known exactly: a cheap start is proven by counting
# processes, not milliseconds.
# shellcheck disable=SC2016  # the stubs' text is expanded by the stubs
set -u

launcher=$(cd "$1" && pwd)/lockstep
work=$(mktemp -d) && cd "$work" || exit
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
tree="$work/a tree"  # with a space, on purpose
calls=$work/calls
setsid=$(command -v setsid)  # for what kills its whole process group
count=0 failed=0

# new_system TOOL...: a tree that was never built, and a PATH with coreutils and stubs of TOOLs only.
new_system() {
  chmod -R u+w "$work" && rm -rf "${work:?}/a tree" "${work:?}/bin" "${work:?}/cache"
  mkdir -p "$tree" "$work/bin" "$work/cache"
  for folder in kv engine scenarios reports cli cmake tests; do mkdir "$tree/$folder"; done
  touch "$tree/CMakeLists.txt" "$tree/CMakePresets.json" "$tree/kv/store.cc"
  cp "$launcher" "$tree/lockstep"
  for server in "${launcher%/*}"/engine/stores/*/server.sh; do  # what stores ask of it
    store=${server%/server.sh} && store=$tree/engine/stores/${store##*/}
    mkdir -p "$store" && cp "$server" "$store/"
  done
  : >"$calls"
  for tool in sh cat cksum cut date df find flock grep head id mkdir mv nproc printf readlink rm sed sleep tail touch \
    tr awk chmod cp kill; do
    real=$(command -v "$tool") && case $real in /*) ln -s "$real" "$work/bin/$tool" ;; esac
  done
  stub id 'echo 1000'  # not root, unless a test says so
  for tool; do stub "$tool" ''; done
}

# stub TOOL BODY: TOOL notes its call, then does BODY.
stub() {
  rm -f "$work/bin/$1"
  printf '#!/bin/sh\necho "%s $*" >>"%s"\n%s\n' "$1" "$calls" "$2" >"$work/bin/$1"
  chmod +x "$work/bin/$1"
}

# builder: a cmake whose build makes a program that prints its arguments.
builder() {
  new_system ninja c++ "$@"
  stub cmake '
while [ $# -gt 0 ]; do
  case $1 in
    -B) mkdir -p "$2" && : >"$2/build.ninja" ;;
    --build)
      echo "[1/2] compiling" && echo "[2/2] linking" && mkdir -p "$2/cli"
      printf "#!/bin/sh\nfor word; do echo \"<\$word>\"; done\nexit \${PROGRAM_EXIT-0}\n" >"$2/cli/lockstep"
      chmod +x "$2/cli/lockstep" ;;
  esac
  shift
done'
}

# start ARGS...: starts the launcher on that system; `out`, `err` and `code` are what came of it.
start() {
  code=0
  # shellcheck disable=SC2086  # settings: NAME=VALUE or nothing
  env -i PATH="$work/bin" HOME="$work/home" XDG_CACHE_HOME="$work/cache" ${settings-} "$tree/lockstep" "$@" \
    >"$work/out" 2>"$work/err" </dev/null || code=$?
  out=$(cat "$work/out") err=$(cat "$work/err")
}

calls_of() { grep -c "^$1" "$calls"; }

expect() {  # expect SENTENCE TEST...
  sentence=$1
  shift
  count=$((count + 1))
  if "$@"; then return; fi
  failed=$((failed + 1))
  printf 'FAILED: %s\n  %s\n  exit code %s\n  stdout: %s\n  stderr: %s\n' "$sentence" "$*" "$code" "$out" "$err"
}

contains() { case $1 in *"$2"*) ;; *) return 1 ;; esac; }

# A moment later: what is written from now on has a change time after what is there (file times tick every few ms).
later() { sleep 0.02; }

# --- a start builds once, and then costs nothing ---
builder
start run "deadlock/two lock" ''
expect "the first start configures and builds" [ "$(calls_of cmake)" = 2 ]
expect "arguments arrive as they are, and only the program writes to stdout" [ "$out" = "<run>
<deadlock/two lock>
<>" ]
expect "each stage has one line on stderr" [ "$(grep -c '^lockstep: ' "$work/err")" = 2 ]
later && : >"$calls"
start list
expect "a second start runs none of the tools" [ "$(wc -l <"$calls")" = 0 ]
expect "a second start says nothing" [ -z "$err" ]
settings=PROGRAM_EXIT=3 start list
expect "the program's exit code is the launcher's" [ "$code" = 3 ]

# --- what makes it build again ---
rebuilds() {  # rebuilds SENTENCE: starts twice; the first must build (without configuring again), the second not
  later && : >"$calls" && start list
  expect "builds again after $1" [ "$(calls_of 'cmake --build')" = 1 ]
  later && start list
  expect "builds only once after $1" [ "$(calls_of 'cmake --build')" = 1 ]
}
echo >>"$tree/kv/store.cc" && rebuilds "an edit"
later && touch "$tree/kv/new.cc" && rebuilds "a new file"
later && rm "$tree/kv/new.cc" && rebuilds "a deleted file"
later && touch -d '2001-01-01' "$work/old" && mv "$work/old" "$tree/kv/store.cc" && rebuilds "a file with an old date"
expect "a file with an old date gets a new one, for Ninja" [ -n "$(find "$tree/kv/store.cc" -newermt 2002-01-01)" ]
later && rm "$tree/build/release/cli/lockstep" && rebuilds "losing the program"
later && touch "$tree/CMakePresets.json" && : >"$calls" && start list
expect "new presets configure again" [ "$(calls_of 'cmake -S')" = 1 ]
later && touch "$tree/CMakeLists.txt" && : >"$calls" && start list
expect "a build that asks for other parts looks for them again" [ "$(calls_of 'cmake -S')" = 1 ]
mv "$tree" "$work/moved" && mkdir "$tree" && mv "$work/moved"/* "$tree" && mv "$tree" "$work/elsewhere"
: >"$calls"
tree=$work/elsewhere && start list
expect "a moved tree is built anew" [ "$(calls_of cmake) $out" = "2 <list>" ]
tree="$work/a tree"

# --- a symbolic link, another working folder ---
builder
ln -s "$tree/lockstep" "$work/bin/lockstep-link"
out=$(cd / && env -i PATH="$work/bin" lockstep-link list 2>/dev/null)
expect "works through a symbolic link from anywhere" [ "$out" = "<list>" ]
rm "$work/bin/lockstep-link"

# --- a build that fails ---
builder
stub cmake 'case $1 in --build) echo "[1/2] compiling"; echo "store.cc:1:1: error: no such thing"; exit 1 ;; esac
while [ $# -gt 0 ]; do case $1 in -B) mkdir -p "$2" && : >"$2/build.ninja" ;; esac; shift; done'
start list
expect "a failed build exits 4 with nothing on stdout" [ "$code$out" = 4 ]
expect "a failed build shows the error" contains "$err" "| store.cc:1:1: error: no such thing"
expect "a failed build says where the log is" contains "$err" "full log: $tree/build/release.log"
start list
expect "a failed build is tried again" [ "$(calls_of 'cmake --build')" = 2 ]

# --- two starts at once ---
builder
cmake=$(sed 1,2d "$work/bin/cmake")
mkfifo "$work/gate"
stub cmake "case \$1 in --build) read -r go <'$work/gate' ;; esac
$cmake"
env -i PATH="$work/bin" "$tree/lockstep" first >"$work/first" 2>/dev/null &
first=$!
until grep -q '^cmake --build' "$calls"; do sleep 0.01; done
env -i PATH="$work/bin" "$tree/lockstep" second >"$work/second" 2>"$work/waits" &
second=$!
until grep -q waiting "$work/waits"; do sleep 0.01; done
echo go >"$work/gate"
wait $first $second
expect "of two starts at once, one builds" [ "$(calls_of 'cmake --build')" = 1 ]
expect "of two starts at once, both run" [ "$(cat "$work/first" "$work/second")" = "<first>
<second>" ]

# --- a build that is cut off ---
for signal in KILL INT; do
  builder
  cmake=$(sed 1,2d "$work/bin/cmake")
  stub cmake "case \$1 in --build) mkdir -p \"\$2/cli\"; cp '$work/bin/cmake' \"\$2/cli/lockstep\"; kill -$signal 0 ;; esac
$cmake"
  code=0
  env -i PATH="$work/bin" "$setsid" -w "$tree/lockstep" list >"$work/out" 2>"$work/err" || code=$?
  out=$(cat "$work/out") err=$(cat "$work/err")
  expect "SIG$signal in a build: is not taken for built" [ ! -e "$tree/build/release/built" ]
  if [ $signal = INT ]; then
    expect "SIGINT in a build: exits 130" [ "$code" = 130 ]
    expect "SIGINT in a build: says so" contains "$err" "lockstep: interrupted"
  fi
  stub cmake "$cmake" && start list
  expect "SIG$signal in a build: the next start finishes it" [ "$out" = "<list>" ]
done

# --- a tree that may not be written to ---
if [ "$(id -u)" != 0 ]; then  # root may write everywhere
  builder
  chmod -R a-w "$tree"
  start list
  expect "a read-only tree is built in the user's cache" [ "$out" = "<list>" ]
  later && : >"$calls" && start list
  expect "and only once" [ "$(calls_of cmake)" = 0 ]
fi
builder
: >"$tree/build" # a file where the folder should be
start list
expect "where build/ cannot be made, the user's cache is used" [ "$out" = "<list>" ]
settings="LOCKSTEP_BUILD=$work/out/no" start list
expect "a given folder that cannot be made is an error that names it" contains "$err" "LOCKSTEP_BUILD=$work/out/no"

# --- installing ---
new_system apt-get dpkg-query
start list
expect "without root and sudo: exits 4" [ "$code" = 4 ]
expect "and gives the exact command" contains "$err" "  apt-get install --no-install-recommends g++ cmake ninja-build"
expect "and installs nothing" [ "$(calls_of apt-get)" = 0 ]

builder apt-get dpkg-query sudo
stub sudo 'case $1 in -n) exit ;; esac
while [ "$1" != install ]; do shift; done; shift; echo "pmstatus:g++:50.0:Installing"; echo "$*" >'"'$work/installed'
touch '$work/bin/ninja'; chmod +x '$work/bin/ninja'"
rm "$work/bin/ninja"
start list
expect "with sudo: what is missing is installed by it" contains "$(cat "$work/installed")" "libpqxx-dev"
expect "and then it goes on" [ "$out" = "<list>" ]

builder apt-get dpkg-query sudo
rm "$work/bin/ninja"
settings=LOCKSTEP_INSTALL=no start list
expect "LOCKSTEP_INSTALL=no installs nothing" [ "$code $(calls_of sudo)" = "4 0" ]

for manager in dnf:libpqxx-devel zypper:libboost_thread-devel pacman:onetbb apk:libpq-dev brew:nlohmann-json; do
  new_system "${manager%:*}"
  start list
  expect "${manager%:*}: exits 4 and names its own packages" contains "$code $err" " ${manager#*:}"
  expect "${manager%:*}: is not run" [ "$(calls_of "${manager%:*}")" = 0 ]
done
new_system
start list
expect "an unknown system: names the parts" contains "$err" "Boost.Thread, oneTBB"

# --- parts that are installed and built only when asked for ---
new_system apt-get dpkg-query
start list
expect "what nobody asked for is not installed" [ "${err#*mariadb}" = "$err" ]
settings=LOCKSTEP_MARIADB=yes
start list
expect "what is asked for is" contains "$err" " libmariadb-dev"
builder
settings=
start run x --store mariadb
expect "nor is its server looked for" [ "${err#*mariadb}" = "$err" ]
expect "nor is the build told of it" [ "$(calls_of 'cmake.*LOCKSTEP_MARIADB')" = 0 ]
: >"$calls"
settings=LOCKSTEP_MARIADB=yes
start list
expect "asked for later, it is looked for and built" [ "$(calls_of 'cmake.*-DLOCKSTEP_MARIADB=ON') $(calls_of 'cmake --build')" = "1 1" ]
echo LIBMARIADB_FOUND:INTERNAL=1 >"$tree/build/release/CMakeCache.txt"
later && : >"$calls" && start list
expect "and once it is there, no more" [ "$(calls_of cmake)" = 0 ]
settings=
later && : >"$calls" && start list
expect "and without asking the same program runs" [ "$(calls_of cmake)" = 0 ]

: >"$calls"
settings=LOCKSTEP_GALERA=yes
later && : >"$calls" && start list
expect "a cluster is of the same part" [ "$(calls_of cmake)" = 0 ]

: >"$calls"
settings="LOCKSTEP_MARIADB=yes LOCKSTEP_REDIS=yes"
start list
expect "two parts are asked for together" [ "$(calls_of 'cmake.*-DLOCKSTEP_MARIADB=ON -DLOCKSTEP_REDIS=ON')" = 1 ]
echo HIREDIS_FOUND:INTERNAL=1 >>"$tree/build/release/CMakeCache.txt"
later && : >"$calls" && start list
expect "and once both are there, no more" [ "$(calls_of cmake)" = 0 ]
new_system apt-get dpkg-query
start list
expect "no MPI is installed" [ "${err#*openmpi}" = "$err" ]
settings=LOCKSTEP_MPI=yes
start list
expect "unless it is asked for" contains "$err" " libopenmpi-dev openmpi-bin"
builder
settings=
start list
expect "nor is the build told of it" [ "$(calls_of 'cmake.*LOCKSTEP_MPI')" = 0 ]
: >"$calls"
settings=LOCKSTEP_MPI=yes
start list
expect "asked for later, MPI is built in" [ "$(calls_of 'cmake.*-DLOCKSTEP_MPI=ON') $(calls_of 'cmake --build')" = "1 1" ]
echo LOCKSTEP_MPI:BOOL=ON >"$tree/build/release/CMakeCache.txt"
later && : >"$calls" && start list
expect "and once it is in, no more" [ "$(calls_of cmake)" = 0 ]
settings=

# --- what one command needs beside the program ---
if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
  builder apt-get dpkg-query
  start run x --store postgres
  expect "a store without a server: names the package" contains "$err" "postgresql"
  expect "and leaves the rest to the program" contains "$out" "<--store>"
fi
for words in "--store toy" "--store=kv,toy" "--store kv,toy --seed 1"; do
  builder apt-get dpkg-query
  mkdir -p "$tree/engine/stores/toy"
  printf 'server_package=toy-server\nserver_named=$TOY_DSN\nhave_server() { false; }\n' >"$tree/engine/stores/toy/server.sh"
  settings="TOY_DSN= LOCKSTEP_INSTALL=no"
  # shellcheck disable=SC2086  # words
  start run x $words
  expect "$words: the store's own file names its package" contains "$err" "toy-server"
  settings="TOY_DSN=here LOCKSTEP_INSTALL=no"
  # shellcheck disable=SC2086
  start run x $words
  expect "$words: unless its server is elsewhere" [ "${err#*toy-server}" = "$err" ]
  settings=
done
for words in "--dsn toy=here" "--dsn=toy=here" "--dsn other=there --dsn toy=here" "--dsn host=here" "--dsn=toy://here"; do
  builder apt-get dpkg-query
  for store in toy other; do
    mkdir -p "$tree/engine/stores/$store"
    printf 'server_package=%s-server\nserver_named=\nhave_server() { false; }\n' $store >"$tree/engine/stores/$store/server.sh"
  done
  settings="LOCKSTEP_INSTALL=no"
  # shellcheck disable=SC2086
  start run x --store toy $words
  expect "$words: is a server for the store" [ "${err#*toy-server}" = "$err" ]
  start run x --store toy --dsn other=there
  expect "one for another store is not" contains "$err" "toy-server"
  settings=
done
builder apt-get dpkg-query
start run x --store postgres --dsn host=x
expect "with a DSN no server is needed" [ "${err#*postgresql}" = "$err" ]
start debug x
expect "debug needs gdb" contains "$err" "gdb"

printf '%s checks, %s failed\n' "$count" "$failed"
[ "$failed" = 0 ]
