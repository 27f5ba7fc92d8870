#!/usr/bin/env bash
# prometheus-adapter: an external metric that is NaN or infinite is handed on as -9223372036854775808m, with success.
#
# One would assume that a latency that is not known (a quantile without requests is NaN), or a backlog for each worker while there is no
# worker (900 / 0 is +Inf), is an error, and that the autoscaler keeps what it has; or at least that infinite is very large.
# Each is turned into a whole number without a look: on amd64 NaN, +Inf and -Inf are the smallest there is; on arm64 NaN is 0 and +Inf
# the largest. For metrics of pods and objects NaN is 0 since its pull request 308, +Inf is as here.
# What follows depends on the target alone: with `value` Kubernetes goes to minReplicas, just when no worker is there for 900
# jobs; with averageValue a number below zero asks for the most replicas, when there is not one request. Have the query give numbers:
# clamp_max(..., 1e6), and `or vector(0)` behind a comparison that drops NaN (x >= 0).
# Seen with prometheus-adapter v0.12.0 (pkg/external-provider/metric_converter.go). Needs Go, and up to ten minutes for the first build.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export GOPATH="${GOPATH:-$dir/go}" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
cd "$dir"
printf 'module temp\ngo 1.26\nrequire sigs.k8s.io/prometheus-adapter v0.12.0\n' >go.mod
cat >main.go <<'GO'
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"

	"github.com/prometheus/common/model"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
	prom "sigs.k8s.io/prometheus-adapter/pkg/client"
	external "sigs.k8s.io/prometheus-adapter/pkg/external-provider"
)

func main() {
	seen := []string{}
	for _, value := range []string{"1.5", "NaN", "+Inf"} {
		var result prom.QueryResult // as the API of Prometheus answers
		answer := fmt.Sprintf(`{"resultType": "vector", "result": [{"metric": {}, "value": [1700000000, %q]}]}`, value)
		if err := json.Unmarshal([]byte(answer), &result); err != nil || result.Type != model.ValVector {
			panic(err)
		}
		list, err := external.NewMetricConverter().Convert(provider.ExternalMetricInfo{Metric: "waiting"}, result)
		if err != nil {
			panic(err)
		}
		seen = append(seen, list.Items[0].Value.String())
	}
	fmt.Println(runtime.GOARCH, "- 1.5, NaN and +Inf are told as", seen)
	least := fmt.Sprint(int64(math.MinInt64), "m")
	if seen[0] != "1500m" || runtime.GOARCH == "amd64" && (seen[1] != least || seen[2] != least) {
		fmt.Println("it tells otherwise now")
		os.Exit(1)
	}
}
GO
nice go build -o look . 2>log || { tail log; exit 1; }
go list -m sigs.k8s.io/prometheus-adapter
./look
