#!/usr/bin/env bash
# KEDA: metrics-api with `jobs_waiting{queue!="failed"}` reads the series of the queue "failed", and of several it takes the first.
#
# One would assume that valueLocation of an exporter's page (format: prometheus), which is parsed as a selector of PromQL and may be any of
# these, selects as PromQL does: all but "failed"; and that several that fit are added up, or refused.
# Only the label's name and value are compared, with what the selector has, whatever stands between them. With != it is just the series that
# was to be left out; with =~ it is none, with an error; and where several fit, the number is that of the first line, without a word.
# A service scales by its dead jobs: one whose "failed" has five thousand keeps its maximum for ever, one whose "failed" is empty never
# starts a worker. With a new label in the exporter (a priority, a host) only the first of the lines counts from then on. Use = alone, with
# all labels, or ask a Prometheus. Seen with KEDA v2.21.0 (pkg/scalers/metrics_api_scaler.go: getValueFromPrometheusResponse, which is
# compiled as it is). Needs Go, and up to ten minutes for the first build.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export GOPATH="${GOPATH:-$dir/go}" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
mkdir -p "$dir/src/scalers"
cd "$dir/src"
printf 'module temp\ngo 1.26\nrequire github.com/kedacore/keda/v2 v2.21.0\n' >go.mod
keda=$(go mod download -json github.com/kedacore/keda/v2@v2.21.0 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
cp "$keda"/pkg/scalers/{scaler,metrics_api_scaler}.go scalers
printf 'package scalers\nconst externalMetricType = "External"\n' >scalers/others.go
cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"temp/scalers"
)

const page = `# TYPE jobs_waiting gauge
jobs_waiting{queue="mail",priority="high"} 3
jobs_waiting{queue="mail",priority="low"} 40
jobs_waiting{queue="failed"} 5000
`

func main() {
	changed, cases := false, [][2]string{{`jobs_waiting{queue!="failed"}`, "5000"},
		{`jobs_waiting{queue=~"mail|reports"}`, "error"}, {`jobs_waiting{queue="mail"}`, "3"}}
	for _, one := range cases {
		value, err := scalers.GetValueFromResponse([]byte(page), one[0], scalers.PrometheusFormat)
		seen := fmt.Sprint(value)
		if err != nil {
			seen = "error"
		}
		fmt.Printf("%-36s %s\n", one[0], seen)
		changed = changed || seen != one[1]
	}
	if changed {
		fmt.Println("it selects otherwise now")
		os.Exit(1)
	}
}
GO
go build -o ../look . 2>log || { tail log; exit 1; }
echo "KEDA $(basename "$keda" | cut -d@ -f2)"
grep '^jobs' main.go
../look
