#!/bin/sh
# Install Debian and Python packages into the image, as root, in the folder that holds packages.txt.
# Astro Runtime brings Airflow in its system Python: it gets requirements.txt, and keeps its own Airflow.
# Any other image with Python 3.11 to 3.13 gets the whole set, by hash, in a virtual environment of its own.
set -eu

venv=/opt/goldsmith

if [ -e /etc/pip-constraints.txt ]; then
    install-system-packages
    # Runtime's Airflow and providers stay as they are and take part in the search for versions. The other pins of
    # its constraints do not: one of them may exclude dbt, which for example asks for an older protobuf.
    uv pip freeze --system | grep '^apache-airflow' > /tmp/airflow.txt
    uv pip install --system --no-cache --override deploy/overrides.txt \
        --requirement /tmp/airflow.txt --requirement requirements.txt
    rm /tmp/airflow.txt
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
