#!/bin/sh
# Install Debian and Python packages into the image, as root, in the folder that holds packages.txt.
# Astro Runtime brings Airflow in its system Python: it gets requirements.txt within its own constraints.
# Any other image with Python 3.11 to 3.13 gets the whole set, by hash, in a virtual environment of its own.
set -eu

runtime_constraints=/etc/pip-constraints.txt
venv=/opt/goldsmith

if [ -e "$runtime_constraints" ]; then
    install-system-packages
    uv pip install --system --no-cache --constraint "$runtime_constraints" \
        --override deploy/overrides.txt --requirement requirements.txt
    exit
fi

apt-get update
xargs apt-get install --yes --no-install-recommends < packages.txt
rm -rf /var/lib/apt/lists/*
useradd --uid 50000 --gid 0 --home-dir "$AIRFLOW_HOME" --no-create-home astro
mkdir -p "$AIRFLOW_HOME/logs"
chown 50000:0 "$AIRFLOW_HOME" "$AIRFLOW_HOME/logs"
python3 -m venv "$venv"
"$venv/bin/pip" install --no-cache-dir --no-deps --require-hashes --requirement deploy/requirements-full.txt
