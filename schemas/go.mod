module github.com/callboard-dev/callboard/schemas

go 1.26.0
