# shellcheck shell=sh disable=SC2034  # read by ./lockstep
# server.sh: what the launcher asks of a store that needs a server; it reads this file (POSIX sh, no output).

server_package=postgresql      # Debian's name
server_named=${LOCKSTEP_DSN-}  # not empty: a server elsewhere is to be used

have_server() {
  command -v initdb >/dev/null && return
  for initdb in /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb; do
    [ ! -x "$initdb" ] || return 0
  done
  false
}
