#!/bin/sh
# in_namespaces.sh PROGRAM [HOSTS]: ranks on HOSTS simulated machines (4), each a network namespace with a name and an
# address of its own, by TCP over a bridge. As root, with Open MPI, iproute2 and a PROGRAM that was built with MPI.
#
# 1. A search by samples gives the same counts as alone, and says how many bytes went over the bridge.
# 2. check shares its cells.
# 3. With a server in LOCKSTEP_TEST_DSN that the namespaces reach, a load of all of them is one load; without, skipped.
# 4. A machine that is gone (its rank is killed) ends the search with what is finished saved.
#
# Not part of the tests that are run by default: it makes network devices. What it makes is gone when it ends.
set -eu
program=$(readlink -f "$1")
hosts=${2:-4}
net=10.201.77
work=$(mktemp -d)
cleanup() {
  for host in $(seq 1 "$hosts"); do ip netns del "lockstep$host" 2>/dev/null || true; done
  ip link del lockstep_br 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

ip link add lockstep_br type bridge
ip addr add $net.254/24 dev lockstep_br
ip link set lockstep_br up
list=
for host in $(seq 1 "$hosts"); do
  ip netns add "lockstep$host"
  ip link add "lockstep_v$host" type veth peer name eth0 netns "lockstep$host"
  ip link set "lockstep_v$host" master lockstep_br up
  ip -n "lockstep$host" addr add "$net.$host/24" dev eth0
  ip -n "lockstep$host" link set lo up
  ip -n "lockstep$host" link set eth0 up
  list="$list${list:+,}$net.$host:1"
done

# In place of ssh: a machine is entered through its namespace, with its own name for the host.
cat >"$work/enter" <<'AGENT'
#!/bin/sh
while [ "${1#-}" != "$1" ]; do shift; done
number=${1##*.}
shift
exec ip netns exec "lockstep$number" unshare -u sh -c "hostname lockstep$number; $*"
AGENT
chmod +x "$work/enter"
export TERM=dumb LOCKSTEP_RUNS="$work/runs" OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

# on_all ARGS...: the program on every machine.
on_all() {
  # shellcheck disable=SC2016  # expanded in there
  ip netns exec lockstep1 unshare -u sh -c 'hostname lockstep1; exec "$@"' sh mpirun -n "$hosts" --host "$list" --oversubscribe --mca plm_rsh_agent "$work/enter" \
    --mca btl tcp,self --mca btl_tcp_if_include eth0 --mca oob_tcp_if_include eth0 --mca orte_keep_fqdn_hostnames 1 \
    "$program" "$@"
}
# bytes: that have crossed the bridge from the machines.
bytes() { cat /sys/class/net/lockstep_v*/statistics/rx_bytes | awk '{ all += $1 } END { print all }'; }
# counts FILE: a search's result without what depends on the number of workers.
counts() { sed -E 's/"(jobs|schedules_per_s)":[^,]*,?//g' "$1"; }
fail() { echo "FAILED: $*" && exit 1; }

search="explore deadlock/three-cycle --strategy walk --budget 400000 --jobs 1 --no-record --json"
# shellcheck disable=SC2086  # words
"$program" $search >"$work/alone" || true
before=$(bytes) begin=$(date +%s%N)
# shellcheck disable=SC2086
on_all $search >"$work/together" || true
[ "$(counts "$work/alone")" = "$(counts "$work/together")" ] || fail "a search over $hosts machines gave other counts"
echo "search: the same counts; $(($(bytes) - before)) bytes in $((($(date +%s%N) - begin) / 1000000)) ms, start and end of the job included"

on_all check deadlock --store kv >"$work/check" || fail "check: $(cat "$work/check")"
grep 'checked: ' "$work/check"

if [ -n "${LOCKSTEP_TEST_DSN-}" ]; then
  on_all compare money/transfer --store postgres --dsn "$LOCKSTEP_TEST_DSN" --strategy ordered --sessions "$((2 * hosts))" \
    --rounds 2 --for 500ms --warmup 100ms --no-record || fail "compare"
else
  echo "skipped: a load of all machines (LOCKSTEP_TEST_DSN names no server)"
fi

# The rank on the last machine is killed once it works.
on_all explore deadlock/three-cycle --strategy walk --budget 10m --jobs 1 --json >"$work/cut" 2>"$work/cut.err" &
job=$!
victim=
until [ -n "$victim" ]; do
  kill -0 $job || fail "the search ended too early: $(cat "$work/cut.err")"
  for pid in $(ip netns pids "lockstep$hosts"); do
    # Its own processor time, in hundredths of a second: some rounds are behind it by then.
    if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = lockstep ] && [ "$(cut -d ' ' -f 14 "/proc/$pid/stat")" -gt 100 ]; then victim=$pid; fi
  done
done
kill -9 "$victim"
wait $job && fail "a job with a dead rank has ended well"
grep "rank $((hosts - 1)) of $hosts on lockstep$hosts is gone before the end" "$work/cut.err" || fail "$(cat "$work/cut.err")"
grep -q '"runs":[1-9]' "$work/cut" || fail "nothing was kept: $(cat "$work/cut")"
ls "$work"/runs/*/run.sqlite >/dev/null || fail "nothing was saved"
echo "a lost machine: the finished rounds are kept"
