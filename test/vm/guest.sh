#!/bin/sh
# What is checked in the virtual machine. A line for each check; "vm: all passed" at the end if so.
set -u
dhow=/dhow/bin/dhow
config=/var/lib/dhow/dhow/kubeconfig
failed=0

k() { $dhow kubectl "$@"; }
in_pod() { name=$1; shift; k exec "$name" -- "$@"; }
now() { awk '{printf "%d\n", $1 * 1000}' /proc/uptime; }

# check NAME COMMAND…: PASS when it succeeds; what it printed otherwise.
check() {
	what=$1; shift
	begin=$(now)
	if "$@" >/tmp/out 2>&1; then
		printf 'PASS %-58s %6d ms\n' "$what" $(($(now) - begin))
	else
		failed=$((failed + 1))
		printf 'FAIL %s\n' "$what"
		grep -v memcache.go /tmp/out | sed 's/^/     | /' | tail -n 25
	fi
}

# until COMMAND…: again and again, for at most 20 seconds.
until_ok() {
	for _ in $(seq 100); do
		"$@" && return 0
		usleep 200000
	done
	return 1
}

same() { [ "$1" = "$2" ] || { echo "want '$2', have '$1'"; return 1; }; }
not() { ! "$@"; }

# group_of POD [CONTAINER]: directory of its container's cgroup.
group_of() {
	id=$(k get pod "$1" -o "jsonpath={.status.containerStatuses[${2:-0}].containerID}")
	find /sys/fs/cgroup/dhow-dhow -type d -name "${id#*://}"
}
value() { cat "$(group_of "$1")/$2"; }

phase() { k get pod "$1" -o 'jsonpath={.status.phase}'; }
reason() { k get pod "$1" -o 'jsonpath={.status.containerStatuses[0].state.terminated.reason} {.status.containerStatuses[0].state.terminated.exitCode}'; }
ended() { k wait --for="jsonpath={.status.phase}=$2" "pod/$1" --timeout=30s; }

# --- what is checked

unified() { grep -q '^cgroup2 /sys/fs/cgroup cgroup2 .*nsdelegate' /proc/mounts && same "$(grep -c '^cgroup ' /proc/mounts)" 0; }
up() { $dhow up -d; }
demo() { TERM=dumb sh examples/web/demo.sh; }

box() {
	mkdir -p /tmp/box && cp /bin/busybox /tmp/box/
	cat >/tmp/box/Dockerfile <<END
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN mkdir -p /tmp /etc && chmod 1777 /tmp
END
	$dhow build -q -t box:v1 /tmp/box
}

pods() {
	k apply -f vm/pods.yaml
	k wait --for=condition=ready pod/limits pod/forks pod/privileged pod/pair --timeout=30s || { k get pods; k get events; return 1; }
}

cpu() { same "$(value limits cpu.max)" "25000 100000" && same "$(value limits cpu.weight)" 4 || same "$(value limits cpu.weight)" 17; }
memory() { same "$(value limits memory.max)" $((64 << 20)); }
pod_limits() {
	parent=$(dirname "$(group_of limits)")
	same "$(cat "$parent/memory.max")" $((64 << 20)) && same "$(cat "$parent/cpu.max")" "25000 100000"
}

# leaves: with controllers for its children, a group has no processes of its own.
leaves() {
	find /sys/fs/cgroup/dhow-dhow -type d | while read -r dir; do
		kind=$(cat "$dir/cgroup.type" 2>/dev/null) || continue # it went away
		if [ -s "$dir/cgroup.subtree_control" ] && [ -n "$(cat "$dir/cgroup.subtree_control")" ] && [ -n "$(cat "$dir/cgroup.procs")" ]; then
			echo "$dir has processes: $(cat "$dir/cgroup.procs")"
		fi
		[ "$kind" = domain ] || echo "$dir is $kind"
	done >/tmp/inner
	cat /tmp/inner
	[ ! -s /tmp/inner ]
}

oom() { ended greedy Failed && same "$(reason greedy)" "OOMKilled 137"; }
oom_child() { ended greedy-child Failed && same "$(reason greedy-child)" "OOMKilled 3"; }
oom_event() { grep -q '^oom_kill [1-9]' "$(group_of greedy)/memory.events"; }

own_view() {
	same "$(in_pod limits cat /proc/self/cgroup)" "0::/" &&
		same "$(in_pod limits cat /sys/fs/cgroup/memory.max)" $((64 << 20)) &&
		not in_pod limits mkdir /sys/fs/cgroup/x &&
		not in_pod limits sh -c 'echo 0 >/sys/fs/cgroup/cgroup.freeze'
}
writable_view() { in_pod privileged mkdir /sys/fs/cgroup/x && in_pod privileged rmdir /sys/fs/cgroup/x; }

confined() {
	in_pod limits cat /proc/1/status >/tmp/status
	grep -E '^(Seccomp|NoNewPrivs|CapEff):' /tmp/status
	grep -q '^Seccomp:.2' /tmp/status && grep -q '^NoNewPrivs:.1' /tmp/status && grep -q '^CapEff:.00000000a80425fb' /tmp/status
}
confined_exec() { in_pod limits grep -q '^Seccomp:.2' /proc/self/status && in_pod limits grep -q '^NoNewPrivs:.1' /proc/self/status; }
privileged() { in_pod privileged grep -q '^Seccomp:.0' /proc/1/status; }

devices() {
	in_pod limits sh -c 'mknod /tmp/null c 1 3 && echo >/tmp/null' &&
		in_pod limits sh -c 'mknod /tmp/kmsg c 1 11 && ! cat /tmp/kmsg' &&
		in_pod privileged sh -c 'mknod /tmp/kmsg c 1 11 && head -n 1 /tmp/kmsg'
}

probe() {
	k wait --for="jsonpath={.status.phase}=Running" pod/probed --timeout=30s || return 1
	same "$(k get pod probed -o 'jsonpath={.status.containerStatuses[0].ready}')" false || return 1
	in_pod probed touch /tmp/ready && k wait --for=condition=ready pod/probed --timeout=10s
}

pids() {
	same "$($dhow run --rm --pids-limit 20 box:v1 cat /sys/fs/cgroup/pids.max)" 20 || return 1
	not $dhow run --rm --pids-limit 20 box:v1 sh -c 'for i in $(seq 30); do sleep 5 & done; wait'
}
run_memory() {
	$dhow run --rm --memory 32m box:v1 dd if=/dev/zero of=/dev/null bs=200M count=1
	same $? 137
}

shared() { k exec pair -c b -- cat /shared/a && k exec pair -c b -- ps | grep -q 'sleep 10000'; }

stats() {
	k get --raw /api/v1/nodes/vm/proxy/stats/summary >/tmp/summary || return 1
	tr -d ' \n' </tmp/summary | grep -o '"podRef":{"name":"limits".*' | grep -Eo '"(usageNanoCores|workingSetBytes|usageCoreNanoSeconds)":[0-9]*' | head -n 4
	tr -d ' \n' </tmp/summary | grep -o '"podRef":{"name":"limits".*' | grep -Eq '"workingSetBytes":[1-9]'
}

# no_rest: nothing that the pod started lives on.
no_rest() {
	same "$(pgrep -f 'sleep 4242' | wc -l)" 5 || return 1
	k delete pod forks --timeout=20s && same "$(pgrep -f 'sleep 4242' | wc -l)" 0
}

daemon_pid() { $dhow status -o json | tr -d ' \n' | sed -n 's/.*"daemon":{"pid":\([0-9]*\).*/\1/p'; }
ids() { k get pods -A -o 'jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[*].containerID} {.status.containerStatuses[*].restartCount}{"\n"}{end}' | sort; }
killed() {
	ids >/tmp/before
	pgrep -f '^sleep 10000' | sort >/tmp/pids
	kill -9 "$(daemon_pid)"
	sleep 1
	pgrep -f '^sleep 10000' | sort | cmp - /tmp/pids || return 1
	$dhow up -d && k wait --for=condition=ready node/vm --timeout=20s || return 1
	sleep 3
	ids >/tmp/after
	diff /tmp/before /tmp/after && in_pod limits true
}

# An image of many layers: before Linux 6.8 all their names had to fit into a page.
layers() {
	mkdir -p /tmp/many
	{ echo FROM box:v1; for i in $(seq 100); do echo "COPY $i /layers/"; echo "$i" >"/tmp/many/$i"; done; } >/tmp/many/Dockerfile
	$dhow build -q -t many:v1 /tmp/many && same "$($dhow run --rm many:v1 sh -c 'cat /layers/* | wc -l')" 100
}

userns() {
	k apply -f vm/userns.yaml
	k wait --for=condition=ready pod/userns --timeout=20s || { k describe pod userns | tail -n 12; return 1; }
	in_pod userns cat /proc/self/uid_map
	not in_pod userns grep -q '^ *0 *0 ' /proc/self/uid_map
}

status() { $dhow status; }
podstart() { bin/podstart "$config" box:v1 20; }

nothing_left() {
	left=0
	for thing in "$(find /sys/fs/cgroup -name '*dhow*')" "$(grep dhow /proc/self/mountinfo)" "$(ip -o link | grep -v ': lo:')" \
		"$(ls -d /run/dhow /var/lib/dhow 2>/dev/null)" "$(pgrep -f 'dhow-keeper|bin/dhow' | grep -v guest)" \
		"$(ip rule | grep -v -e 'lookup \(local\|main\|default\)')" "$(grep -E '^(nft_chain_nat|nft_ct|nft_masq) [0-9]+ [1-9]' /proc/modules)"; do
		[ -z "$thing" ] || { echo "$thing"; left=1; }
	done
	return $left
}
purge() { $dhow down --purge && until_ok nothing_left; }

check "cgroup v2 only, with nsdelegate ($(uname -r))" unified
check "dhow up -d" up
cat /tmp/out
[ "$failed" -eq 0 ] || exit 1
check "the demo" demo
sed -n '/What happened/,/^$/p' /tmp/out
check "build an image with RUN steps" box
check "pods of many kinds run" pods
check "cpu limit and weight" cpu
check "memory limit" memory
check "the pod's own limits" pod_limits
check "processes only in leaves" leaves
check "OOM: reported" oom
check "OOM: memory.events" oom_event
check "OOM: of a child, reported" oom_child
check "a container sees its own cgroup only, read-only" own_view
check "a privileged one may write to it" writable_view
check "seccomp, capabilities, no_new_privs" confined
check "the same for exec" confined_exec
check "a privileged one has no seccomp filter" privileged
check "devices: only the allowed ones open" devices
check "exec probe" probe
check "two containers share volume and processes" shared
check "pids limit of dhow run" pids
check "memory limit of dhow run" run_memory
check "statistics" stats
check "stopped pods leave no process behind" no_rest
check "kill -9 of the daemon keeps containers" killed
check "an image of 100 layers" layers
# Mounts of tmpfs can be id-mapped since Linux 6.3.
case $(uname -r) in
6.[0-2].*) echo "SKIP pod with a user namespace: needs Linux 6.3" ;;
*) check "pod with a user namespace" userns ;;
esac
check "status" status
cat /tmp/out
check "20 pods, one after the other" podstart
cat /tmp/out
check "processes only in leaves, still" leaves
[ "$failed" -eq 0 ] || { echo '--- log'; tail -n 30 /var/lib/dhow/dhow/dhow.log; echo '--- kernel'; dmesg | tail -n 20; }
check "down --purge leaves nothing" purge
echo "--- kernel: $(dmesg | grep -c overlayfs) lines of overlayfs"
dmesg | grep -iE 'warn|bug|overlayfs' | tail -n 5
if [ "$failed" -eq 0 ]; then echo "vm: all passed"; else echo "vm: $failed failed"; fi
