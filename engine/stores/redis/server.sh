# shellcheck shell=sh disable=SC2034  # read by ./lockstep
# server.sh: what the launcher asks of a store that needs a server; it reads this file (POSIX sh, no output).

server_package=redis-tools           # Debian's name: has the server's program under another name, and starts nothing
server_named=${LOCKSTEP_REDIS_DSN-}  # not empty: a server elsewhere is to be used

# Nothing of it is installed unless LOCKSTEP_REDIS=yes asks for it: what nobody asked for is not missing.
have_server() {
  [ "${LOCKSTEP_REDIS-}" = yes ] || return 0
  command -v redis-server >/dev/null || command -v redis-check-rdb >/dev/null
}
