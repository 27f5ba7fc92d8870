#!/usr/bin/env bash
# KEDA: a cron trigger whose end comes more often than its start has its replicas on the days between, too.
#
# One would assume that "start: 0 8 * * 1-5" with "end: 0 18 * * *" means 8:00 to 18:00 from Monday to Friday: the replicas come at a
# start, go at the next end, and at a further end there is nothing left to go.
# KEDA keeps no state. It compares the next start with the next end, and where the end comes first it takes the window for open. After
# the end of Friday the next end is Saturday's, before the start of Monday: so the replicas are there all weekend, until Sunday
# 18:00, and never so on weekdays, where one would look. Here the start is in three days, and the window is open today.
# Who moves such a schedule from cron, where a second "stop" does no harm, pays for two more days a week, or runs jobs on days that were
# to be free of them. Give start and end the same days: with `end: 0 18 * * 1-5` it is closed.
# Seen with KEDA v2.21.0 (pkg/scalers/cron_scaler.go, which is compiled as it is). Needs Go, and some minutes for the first build.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export GOPATH="${GOPATH:-$dir/go}" GOFLAGS="-modcacherw -mod=mod" CGO_ENABLED=0
mkdir -p "$dir/src/scalers"
cd "$dir/src"
printf 'module temp\ngo 1.26\nrequire github.com/kedacore/keda/v2 v2.21.0\n' >go.mod
keda=$(go mod download -json github.com/kedacore/keda/v2@v2.21.0 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
cp "$keda"/pkg/scalers/{scaler,cron_scaler}.go scalers
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"
	"temp/scalers"
)

func main() {
	now := time.Now().UTC()
	day := int(now.AddDate(0, 0, 3).Weekday())
	seen := map[string]bool{}
	for _, end := range []string{fmt.Sprint("0 18 * * ", day), "0 18 * * *"} {
		window := map[string]string{"timezone": "UTC", "start": fmt.Sprint("0 8 * * ", day), "end": end, "desiredReplicas": "10"}
		scaler, err := scalers.NewCronScaler(&scalersconfig.ScalerConfig{TriggerMetadata: window})
		if err != nil {
			panic(err)
		}
		values, active, _ := scaler.GetMetricsAndActivity(context.Background(), "cron")
		fmt.Printf("a %s; start: %s, end: %s; active %t, replicas %d\n", now.Weekday(), window["start"], end, active, values[0].Value.Value())
		seen[end[7:]] = active
	}
	if seen[fmt.Sprint("* ", day)] || !seen["* *"] {
		fmt.Println("it waits for the start now")
		os.Exit(1)
	}
}
GO
go build -o ../look . 2>log || { tail log; exit 1; }
echo "KEDA $(basename "$keda" | cut -d@ -f2)"
../look
