#!/bin/sh
# Lints OpenAPI documents with a published linter: the golden ones, or the files
# that are named. Needs `npm ci` to have run.
set -eu
cd "$(dirname "$0")/.."
if [ ! -x node_modules/.bin/redocly ]; then
	echo "lint-openapi: node_modules/.bin/redocly is missing; run: npm ci" >&2
	[ -z "${CI:-}" ] || exit 1
	exit 0
fi
[ $# -gt 0 ] || set -- schemas/openapi/*.json
REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
	exec node_modules/.bin/redocly lint --config schemas/openapi/redocly.yaml "$@"
