module github.com/callboard-dev/callboard/sdk

go 1.26.0

require (
	github.com/callboard-dev/callboard/schemas v0.1.0
	github.com/extism/go-pdk v1.1.3
	github.com/goccy/go-yaml v1.19.2
)

replace github.com/callboard-dev/callboard/schemas => ../schemas
