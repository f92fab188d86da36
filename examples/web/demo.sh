#!/bin/sh
# What `make demo` shows: a cluster, an image, an app, and what happens when things go wrong.
# It stops at the first thing that is not as it should be.
set -eu
cd "$(dirname "$0")/../.."
dhow=$PWD/bin/dhow
table=$(mktemp)
trap 'rm -f "$table"' EXIT

now() { date +%s%N; }
k() { "$dhow" kubectl "$@"; }

# step NAME COMMAND…: say it, do it, remember how long it took.
step() {
	name=$1; shift
	printf '\n\033[1m== %s\033[0m\n' "$name"
	begin=$(now)
	"$@"
	printf '%s|%d\n' "$name" $((($(now) - begin) / 1000000)) >>"$table"
}

port_of() { k -n web get service web -o 'jsonpath={.spec.ports[0].nodePort}'; }
url() { echo "http://127.0.0.1:$(port_of)/"; }

up() { "$dhow" status >/dev/null 2>&1 || "$dhow" up -d; }
build() { "$dhow" build -q -t "web:$1" --build-arg "VERSION=$1" examples/web; }
deploy() { k apply -f examples/web/1-web.yaml -f examples/web/2-job.yaml; k -n web rollout status deployment/web --timeout=60s; }
ask() { k -n web get pods -o wide; examples/web/bin/web get "$(url)"; }
job() { k -n web wait --for=condition=complete job/hello --timeout=60s; k -n web logs job/hello; }

# crash kills a container's process from the host and waits until its restart was counted.
crash() {
	for pid in $(pgrep -x web); do
		pod=$(tr '\0' '\n' <"/proc/$pid/environ" | sed -n 's/^HOSTNAME=\(web-.*\)/\1/p')
		[ -z "$pod" ] || break
	done
	count='{.status.containerStatuses[0].restartCount}'
	before=$(k -n web get pod "$pod" -o "jsonpath=$count")
	echo "kill -9 $pid  (pod $pod)"
	kill -9 "$pid"
	k -n web wait "--for=jsonpath=$count=$((before + 1))" "pod/$pod" --timeout=60s
	k -n web wait --for=condition=ready "pod/$pod" --timeout=60s
	k -n web get pods -l app=web
}

replace() {
	pod=$(k -n web get pods -l app=web -o 'jsonpath={.items[0].metadata.name}')
	k -n web delete pod "$pod"
	k -n web rollout status deployment/web --timeout=60s
	k -n web get pods -l app=web
}

# rollout changes the version while a client asks all the time; one failed request fails the demo.
rollout() {
	pipe=$(mktemp -u); mkfifo "$pipe"
	examples/web/bin/web load "$(url)" 120 <"$pipe" &
	load=$!
	exec 3>"$pipe"; rm "$pipe"
	k -n web set image deployment/web web=web:v2
	k -n web rollout status deployment/web --timeout=90s
	exec 3>&-
	wait $load
	examples/web/bin/web get "$(url)"
}

rollback() {
	k -n web rollout undo deployment/web
	k -n web rollout status deployment/web --timeout=90s
	examples/web/bin/web get "$(url)"
}

step 'start the cluster' up
step 'build web:v1' build v1
step 'build web:v2' build v2
step 'deploy 3 replicas and a job' deploy
step 'ask from the host' ask
step 'ask by DNS name from a job' job
step 'kill a process: it is restarted' crash
step 'delete a pod: it is replaced' replace
step 'roll out v2 under load' rollout
step 'roll back to v1' rollback

printf '\n\033[1m%-36s %10s\033[0m\n' 'What happened' 'took'
awk -F'|' '{printf "%-36s %7d ms\n", $1, $2}' "$table"
cat <<END

The cluster is still there. Try:
  bin/dhow kubectl get pods -A            or your own kubectl: its context is "dhow"
  bin/dhow kubectl -n web exec -it deploy/web -- /web get http://web/
  bin/dhow kubectl -n web scale deployment/web --replicas=20
  bin/dhow run --rm web:v1 get $(url)
  bin/dhow status
  make demo-clean                         stops everything and leaves the host as it was
END
