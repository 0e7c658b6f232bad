module github.com/callboard-dev/callboard/host/plugin/testdata/guests/wire

go 1.26.0

require (
	github.com/callboard-dev/callboard/schemas v0.1.0
	github.com/callboard-dev/callboard/sdk v0.1.0
	github.com/extism/go-pdk v1.1.3
)

replace (
	github.com/callboard-dev/callboard/schemas => ../../../../../schemas
	github.com/callboard-dev/callboard/sdk => ../../../../../sdk
)
