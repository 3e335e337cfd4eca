# shellcheck shell=sh disable=SC2034  # read by ./lockstep
# server.sh: what the launcher asks of a store that needs a server; it reads this file (POSIX sh, no output).

server_package=mariadb-server-core     # Debian's name: the program alone, nothing is started by its installation
server_named=${LOCKSTEP_MARIADB_DSN-}  # not empty: a server elsewhere is to be used

# Nothing of it is installed unless LOCKSTEP_MARIADB=yes asks for it: what nobody asked for is not missing.
have_server() {
  [ "${LOCKSTEP_MARIADB-}" = yes ] || return 0
  command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ] || [ -x /usr/libexec/mariadbd ]
}
