#!/usr/bin/env bash
# Knative: seconds without a measurement count as no load, but not before the measurements come again: the outage itself does no harm.
#
# One would assume that seconds in which no pod could be asked are left out of the average over the stable window (60 s), as they are
# for as long as it lasts: with 100 requests in progress before, it says 100 for the whole outage.
# With the first answer after it the empty seconds are filled with zeros: after 30 s without answers the same steady load is 52, after
# 50 s it is 18, and it takes the rest of a minute to be 100 again. The autoscaler takes away half of the pods or more, at the one moment
# when the pods, or the network to them, have just come back; after an outage longer than the window nothing of that happens. With
# the weighted average (for latency-like use) it is the other way round: it falls in the outage.
# The comments in its source say so, its pages do not. Pods that are too busy to answer are such an outage. Who writes the same into a
# scaler of his own should leave gaps out on both sides; here, a longer stable-window, min-scale, and scale-down-delay help.
# Seen with knative.dev/serving v0.51.0 (pkg/autoscaler/aggregation/bucketing.go: Record, WindowAverage; metrics/collector.go). Needs Go.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export GOPATH="${GOPATH:-$dir/go}" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
cd "$dir"
printf 'module temp\ngo 1.26\nrequire knative.dev/serving v0.51.0\n' >go.mod
cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"time"

	"knative.dev/serving/pkg/autoscaler/aggregation"
)

func main() {
	const load, window = 100, 60 * time.Second
	changed := false
	for _, gap := range []time.Duration{30 * time.Second, 50 * time.Second, 70 * time.Second} {
		plain := aggregation.NewTimedFloat64Buckets(window, time.Second)
		weighted := aggregation.NewWeightedFloat64Buckets(window, time.Second)
		now := time.Unix(1700000000, 0)
		for range 120 { // two minutes of the same load
			now = now.Add(time.Second)
			plain.Record(now, load)
			weighted.Record(now, load)
		}
		last := now.Add(min(gap, window) - time.Second)
		now = now.Add(gap)
		during, duringWeighted := plain.WindowAverage(last), weighted.WindowAverage(last)
		plain.Record(now, load)
		after := plain.WindowAverage(now)
		fmt.Printf("%d in progress all the time, no measurement for %v: in the outage %.0f, after the first new one %.0f; weighted, in the outage: %.0f\n",
			load, gap, during, after, duringWeighted)
		changed = changed || during != load || (after < 60) != (gap < window)
	}
	if changed {
		fmt.Println("it leaves the gaps out now")
		os.Exit(1)
	}
}
GO
nice go build -o look . 2>log || { tail log; exit 1; }
go list -m knative.dev/serving
./look
