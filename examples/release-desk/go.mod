module example.com/acme/release-desk

go 1.26.0

require github.com/callboard-dev/callboard/sdk v0.1.0

require (
	github.com/callboard-dev/callboard/schemas v0.1.0 // indirect
	github.com/extism/go-pdk v1.1.3 // indirect
	github.com/goccy/go-yaml v1.19.2 // indirect
)
