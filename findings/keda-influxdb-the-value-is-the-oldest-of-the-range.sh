#!/usr/bin/env bash
# KEDA: its influxdb trigger takes the first row of the answer, so the example of its page scales by what waited twelve hours ago.
#
# One would assume that a query for a range gives the newest value to KEDA: its page has range(start: -12h) and a filter, no more,
# and says nothing of which row of the answer counts.
# InfluxDB answers with all points of the range, oldest first, a table for each series. The first row of the first table is
# taken, the rest is not looked at, without a word. So the load of twelve hours ago is what counts, at all times; of two queues
# (two series) one counts, and the other never does. (With influxVersion 3 it is the last row, by the same source, and 0 if there is none.)
# Workers are added half a day late, and none is there for the backlog of now: with such a range everything looks alive, as the
# number does change. End each query with |> last(), and group() and sum() before it if there are several series.
# Seen with KEDA v2.21.0 (pkg/scalers/influxdb_scaler.go: queryInfluxDB, compiled as it is), InfluxDB's answers in its CSV
# format made by hand. Needs Go, and up to ten minutes for the first build.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export GOPATH="${GOPATH:-$dir/go}" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
mkdir -p "$dir/src/scalers"
cd "$dir/src"
printf 'module temp\ngo 1.26\nrequire github.com/kedacore/keda/v2 v2.21.0\n' >go.mod
keda=$(go mod download -json github.com/kedacore/keda/v2@v2.21.0 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
cp "$keda"/pkg/scalers/{scaler,influxdb_scaler}.go scalers
printf 'package scalers\nconst externalMetricType = "External"\n' >scalers/others.go
cat >main.go <<'GO'
package main

import (
	"context"; "fmt"; "net/http"; "net/http/httptest"; "os"; "strings"; "time"
	"github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"
	v2 "k8s.io/api/autoscaling/v2"
	"temp/scalers"
)

const head = "#datatype,string,long,dateTime:RFC3339,long,string\r\n#group,false,false,false,false,true\r\n#default,_result,,,,\r\n,result,table,_time,_value,queue\r\n"

func main() {
	answer, seen := "", ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) }))
	for _, rows := range [][]string{{"-12h 900 mail", "-6h 40 mail", "0h 0 mail"}, {"-12h 0 mail", "-6h 40 mail", "0h 900 mail"}, {"0h 0 mail", "0h 900 video"}} {
		answer = head
		for _, row := range rows {
			f := strings.Fields(row)
			ago, _ := time.ParseDuration(f[0])
			table := map[string]int{"mail": 0, "video": 1}[f[2]]
			answer += fmt.Sprintf(",,%d,%s,%s,%s\r\n", table, time.Now().Add(ago).UTC().Format(time.RFC3339), f[1], f[2])
		}
		scaler, err := scalers.NewInfluxDBScaler(&scalersconfig.ScalerConfig{MetricType: v2.AverageValueMetricType,
			AuthParams: map[string]string{"authToken": "none"}, TriggerMetadata: map[string]string{"serverURL": server.URL, "organizationName": "shop",
				"thresholdValue": "10", "query": `from(bucket: "shop") |> range(start: -12h) |> filter(fn: (r) => r._measurement == "waiting")`}})
		if err != nil { panic(err) }
		metric, active, err := scaler.GetMetricsAndActivity(context.Background(), "waiting")
		fmt.Printf("rows %q: KEDA reads %s, active %v, error %v\n", rows, metric[0].Value.String(), active, err)
		seen += metric[0].Value.String() + " "
	}
	if seen != "900 0 0 " { os.Exit(1) }
}
GO
go build -o ../look . 2>log || { tail log; exit 1; }
echo "KEDA $(basename "$keda" | cut -d@ -f2)"
../look 2>/dev/null || { echo "it takes another row now"; exit 1; }
