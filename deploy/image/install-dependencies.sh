#!/bin/sh
# Install Debian and Python packages into the image, as root, in the folder that holds packages.txt.
# Astro Runtime brings Airflow in its system Python: it gets requirements.txt, and keeps its own Airflow.
# Any other image with Python 3.11 to 3.13 gets the whole set, by hash, in a virtual environment of its own.
# With DBT=apart, dbt and Elementary are not in the environment of Airflow but in /opt/dbt.
set -eu

venv=/opt/goldsmith
dbt=/opt/dbt

case "${DBT:-}" in
    "") set -- --requirement requirements.txt ;;
    apart) set -- --requirement deploy/requirements-slim.txt boto3 slack-sdk ;;
    *)
        echo "DBT is $DBT. Leave it out, or write DBT=apart." >&2
        exit 2
        ;;
esac

install_dbt() {
    uv pip install --python "$dbt/bin/python" --no-cache --override deploy/overrides.txt \
        --requirement deploy/requirements-dbt.txt
}

if [ -e /etc/pip-constraints.txt ]; then
    install-system-packages
    # Runtime's Airflow and providers stay as they are and take part in the search for versions. The other pins of
    # its constraints do not: one of them may exclude dbt, which for example asks for an older protobuf.
    uv pip freeze --system | grep '^apache-airflow' > /tmp/airflow.txt
    uv pip install --system --no-cache --override deploy/overrides.txt --requirement /tmp/airflow.txt "$@"
    rm /tmp/airflow.txt
    if [ -n "${DBT:-}" ]; then
        uv venv "$dbt"
        install_dbt
    fi
    exit
fi

apt-get update
xargs apt-get install --yes --no-install-recommends < packages.txt
rm -rf /var/lib/apt/lists/*
useradd --uid 50000 --gid 0 --home-dir "$AIRFLOW_HOME" --no-create-home astro
mkdir -p "$AIRFLOW_HOME/logs"
chown 50000:0 "$AIRFLOW_HOME" "$AIRFLOW_HOME/logs"
python3 -m venv "$venv"
if [ -z "${DBT:-}" ]; then
    "$venv/bin/pip" install --no-cache-dir --no-deps --require-hashes --requirement deploy/requirements-full.txt
    exit
fi
# uv, because pip knows no overrides; only while the image is built.
python3 -m venv "$dbt"
"$dbt/bin/pip" install --no-cache-dir "uv>=0.9,<0.14"
PATH="$dbt/bin:$PATH"
uv pip install --python "$venv/bin/python" --no-cache --constraint deploy/requirements-full.txt \
    "$@" apache-airflow apache-airflow-providers-celery celery redis
install_dbt
"$dbt/bin/pip" uninstall --yes uv
