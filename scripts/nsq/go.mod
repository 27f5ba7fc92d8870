// What scripts/base-images builds nsqd from. Versions, and the replacement, are those of NSQ's own go.mod.
module base

go 1.17

require github.com/nsqio/nsq v1.3.0

replace github.com/judwhite/go-svc => github.com/mreiferson/go-svc v1.2.2-0.20210815184239-7a96e00010f6
