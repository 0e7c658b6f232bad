# shellcheck shell=bash
# What the scripts of .ci share: steps that count, and parts that may be missing.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p bin
passed=0
failed=0

# step NAME COMMAND...: runs it quietly; shows the output of what fails.
step() {
  local name=$1 log start=$SECONDS code=0
  shift
  log=$(mktemp)
  # Not in a condition: there, bash would ignore errors inside the function.
  set +e
  (set -e; "$@") >"$log" 2>&1
  code=$?
  set -e
  if [ "$code" -eq 0 ]; then
    passed=$((passed + 1))
    printf 'ok    %-70s %6ss  %s\n' "$name" "$((SECONDS - start))" "$(tail -n 1 "$log" | cut -c1-100)"
  else
    failed=$((failed + 1))
    printf 'FAIL  %s\n' "$name"
    sed 's/^/      /' "$log"
  fi
  rm -f "$log"
}

# tally FILE: adds the last "N passed, N failed" line of the file.
tally() {
  local line
  line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$1" | tail -n 1) || true
  if [ -z "$line" ]; then
    failed=$((failed + 1))
    echo "FAIL  no closing line in $1"
    return
  fi
  passed=$((passed + $(cut -d' ' -f1 <<<"$line")))
  failed=$((failed + $(cut -d' ' -f3 <<<"$line")))
}

# finish: the closing line and the exit code.
finish() {
  printf '%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
}

# missing PART WHAT: aloud on a laptop, a failure with CI=true.
missing() {
  if [ "${CI:-}" = true ]; then
    echo "FAIL  $1 is missing: $2"
    failed=$((failed + 1))
  else
    echo "SKIP  $1 is missing: $2"
  fi
}

# workspace: the package patterns of all modules of go.work.
workspace() { go list -m -f '{{.Dir}}/...'; }
