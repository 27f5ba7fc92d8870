#!/usr/bin/env bash
# Kubernetes: one external metric below zero is, with averageValue, the largest number there is: the autoscaler asks for all replicas.
#
# One would assume that a metric of -1 asks for none, as 0 does, and that the lowest number of replicas is the answer: differences and
# forecasts get there (jobs that wait less what the workers have room for, predict_linear() of a queue that gets shorter).
# With `value` that is so. With averageValue, which KEDA uses by default, a sum below zero is taken for one that was too large for 64
# bits, and becomes the largest: 2147483647 replicas, cut at maxReplicas. 0 asks for none, -0.001 for all. Of several values it
# is the sum so far that counts: -1 and 90 are below zero after the first, 90 and -1 are 89.
# The scale-up comes when there is the least to do, and holds for as long as the metric is below zero. What is not a number
# often comes as a negative one, too (prometheus-adapter). Write clamp_min(..., 0) around each query.
# Seen with Kubernetes v1.37.2 (pkg/controller/podautoscaler/replica_calculator.go: GetExternalPerPodMetricReplicas), since v1.34.
# Needs Go, and up to twenty minutes for the first build.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export GOPATH="${GOPATH:-$dir/go}" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
cd "$dir"
of=$(go mod download -json k8s.io/kubernetes@v1.37.2 | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
printf 'module temp\ngo 1.26\nrequire k8s.io/kubernetes v1.37.2\n' >go.mod
sed -n 's#^\t\(k8s.io/[a-z-]*\) => ./staging.*#replace \1 => \1 v0.37.2#p' "$of" >>go.mod
cat >main.go <<'GO'
package main
import (
	"fmt"; "os"; "time"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	hpa "k8s.io/kubernetes/pkg/controller/podautoscaler"
	"k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"
)

type told struct { metrics.MetricsClient; milli []int64 }
func (t told) GetExternalMetric(string, string, labels.Selector) ([]int64, time.Time, error) { return t.milli, time.Now(), nil }
func main() {
	pods := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	ready := []core.PodCondition{{Type: core.PodReady, Status: core.ConditionTrue}}
	for i := range 4 {
		name := meta.ObjectMeta{Name: fmt.Sprint("worker-", i), Namespace: "shop"}
		pods.Add(&core.Pod{ObjectMeta: name, Status: core.PodStatus{Phase: core.PodRunning, Conditions: ready}})
	}
	seen := ""
	for _, milli := range [][]int64{{90000}, {0}, {-1}, {-1000}, {-1000, 90000}, {90000, -1000}} {
		of, all, none := hpa.NewReplicaCalculator(told{milli: milli}, listers.NewPodLister(pods), 0, 0), labels.Everything(), &meta.LabelSelector{}
		average, _, _, _ := of.GetExternalPerPodMetricReplicas(4, 10000, "jobs", hpa.Tolerances{}, "shop", none)
		value, _, _, _ := of.GetExternalMetricReplicas(4, 40000, "jobs", hpa.Tolerances{}, "shop", none, all)
		fmt.Printf("in thousandths %v; 4 replicas, averageValue 10 asks for %d, value 40 for %d\n", milli, average, value)
		seen += fmt.Sprintf("%d %d, ", average, value)
	}
	if seen != "9 9, 0 0, 2147483647 0, 2147483647 0, 2147483647 9, 9 9, " {
		os.Exit(1)
	}
}
GO
nice go build -o look . 2>log || { tail log; exit 1; }
go list -m k8s.io/kubernetes
./look
