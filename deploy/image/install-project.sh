#!/bin/sh
# Install the package of this folder without its dependencies, as root.
# Editable on purpose: `astro dev start` mounts include/ over the image, and an installed copy would hide edits.
set -eu

# A new volume takes over the owner of the folder that it is mounted on.
mkdir -p "$AIRFLOW_HOME/results"
chown 50000:0 "$AIRFLOW_HOME/results"

if [ -e /etc/pip-constraints.txt ]; then
    uv pip install --system --no-cache --no-deps --editable .
else
    pip install --no-cache-dir --no-deps --editable .
    # Runtime may have settings of its own; here there are none yet.
    mkdir -p "$AIRFLOW_HOME/config"
    cp deploy/image/airflow_local_settings.py "$AIRFLOW_HOME/config/"
fi
