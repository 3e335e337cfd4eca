# shellcheck shell=sh disable=SC2034  # read by ./lockstep
# server.sh: what the launcher asks of a store that needs a server; it reads this file (POSIX sh, no output).

server_package="mariadb-server-core galera-4"  # Debian's names: programs alone, nothing is started by their installation
server_named=${LOCKSTEP_GALERA_DSN-}           # not empty: a cluster elsewhere is to be used

# Nothing of it is installed unless LOCKSTEP_GALERA=yes asks for it: what nobody asked for is not missing.
have_server() {
  [ "${LOCKSTEP_GALERA-}" = yes ] || return 0
  command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ] || [ -x /usr/libexec/mariadbd ] || return
  [ -r /usr/lib/galera/libgalera_smm.so ] || [ -r /usr/lib64/galera-4/libgalera_smm.so ] ||
    [ -r /usr/lib64/galera/libgalera_smm.so ]
}
