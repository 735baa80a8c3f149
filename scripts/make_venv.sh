#!/bin/sh
# Make a virtual environment: make_venv.sh FOLDER
# PYTHON names the interpreter; without it the first one found that is new enough.
set -eu

folder=$1
minimum="3, 11"

is_new_enough() {
  "$1" -c "import sys; sys.exit(sys.version_info < ($minimum))" >/dev/null 2>&1
}

for candidate in ${PYTHON:-python3 python python3.14 python3.13 python3.12 python3.11}; do
  if is_new_enough "$candidate"; then
    python=$candidate
    break
  fi
done

if [ -z "${python:-}" ]; then
  echo "FaultMaven needs Python 3.11 or later; none of these is: ${PYTHON:-python3, python}." >&2
  echo "Install one and name it: PYTHON=/path/to/python3.13 make run" >&2
  exit 1
fi

if ! "$python" -m venv "$folder"; then
  echo "$python cannot make a virtual environment; on Debian and Ubuntu install python3-venv." >&2
  exit 1
fi
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
