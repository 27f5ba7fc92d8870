#!/usr/bin/env bash
# KEDA: metrics-api over all pods of a service leaves out what does not answer, and the sum of the others counts, without an error.
#
# One would assume that aggregationType: sum over the pods of a service (aggregateFromKubeServiceEndpoints), each of which tells what waits in
# its own queue, is an error while one of them cannot be asked, so that KEDA holds what is there, or takes its `fallback`.
# Each error makes the sum smaller by that pod's part; a line at the level of debugging is all. Only if none answers is it an error.
# The pods that do not answer are those with the most to do, or those that start or end: the busier they are, the smaller the sum, and the
# scale-down goes on, to the one pod that is left. `average` is better by the pods that are missing, and has the load of the idle ones.
# Have the sum made by one who knows about gaps (Prometheus, with `up`), or count in the broker; and give it a stabilization window.
# Seen with KEDA v2.21.0 (pkg/scalers/metrics_api_scaler.go: aggregateMetricsFromMultipleEndpoints, which is compiled as it is).
# Needs Go, and up to ten minutes for the first build.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export GOPATH="${GOPATH:-$dir/go}" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
mkdir -p "$dir/src/scalers"
cd "$dir/src"
printf 'module temp\ngo 1.26\nrequire github.com/kedacore/keda/v2 v2.21.0\n' >go.mod
keda=$(go mod download -json github.com/kedacore/keda/v2@v2.21.0 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
cp "$keda"/pkg/scalers/{scaler,metrics_api_scaler}.go scalers
cat >scalers/others.go <<'GO'
package scalers

import ("context"; "net/http")
const externalMetricType = "External"

func Look(how AggregationType, pods []string) (float64, error) {
	of := &metricsAPIScalerMetadata{ValueLocation: "waiting", Format: JSONFormat, AggregationType: how}
	return (&metricsAPIScaler{metadata: of, httpClient: http.DefaultClient}).aggregateMetricsFromMultipleEndpoints(context.Background(), pods)
}
GO
cat >main.go <<'GO'
package main

import ("fmt"; "net/http"; "net/http/httptest"; "os"; "temp/scalers")

func main() {
	busy, pods := false, []string{}
	for _, waiting := range []int{900, 50, 10} { // in each pod
		pods = append(pods, httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if busy && waiting == 900 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			fmt.Fprintf(w, `{"waiting": %d}`, waiting)
		})).URL)
	}
	all, _ := scalers.Look(scalers.SumAggregationType, pods)
	busy = true
	sum, err := scalers.Look(scalers.SumAggregationType, pods)
	average, _ := scalers.Look(scalers.AverageAggregationType, pods)
	fmt.Printf("sum of 900, 50 and 10 waiting: %v; the first is too busy to answer: sum %v, average %v, error %v\n", all, sum, average, err)
	if all != 960 || sum != 60 || average != 30 || err != nil {
		os.Exit(1)
	}
}
GO
go build -o ../look . 2>log || { tail log; exit 1; }
echo "KEDA $(basename "$keda" | cut -d@ -f2)"
../look
