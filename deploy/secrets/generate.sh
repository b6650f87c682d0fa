#!/usr/bin/env bash
# Make the secret files of docker-compose.yml in this folder, or in the one named as argument.
# What exists is kept: databases were created with it.
set -euo pipefail

folder=${1:-$(dirname "$0")}
chmod 700 "$folder"
umask 022 # containers read the files as another user; the folder keeps everybody else out

random() {
    head -c "$1" /dev/urandom | base64 --wrap=0 | tr '+/' '-_'
}

# Airflow does not cut a line's end from what a `_CMD` option prints, so no file ends with one.
keep() {
    if [ ! -e "$folder/$1" ]; then
        printf '%s' "$2" > "$folder/$1"
    fi
}

letters() {
    random 24 | tr -d '=_-'
}

keep metadata_password "$(letters)"
keep warehouse_password "$(letters)"
keep redis_password "$(letters)"
keep admin_password "$(letters)"
keep fernet_key "$(random 32)"
keep jwt_secret "$(random 64)"
keep api_secret_key "$(random 64)"

metadata=airflow:$(cat "$folder/metadata_password")@postgres:5432/airflow
keep sql_alchemy_conn "postgresql+psycopg2://$metadata"
keep result_backend "db+postgresql://$metadata"
keep broker_url "redis://:$(cat "$folder/redis_password")@redis:6379/0"
keep airflow_passwords.json "{\"admin\": \"$(cat "$folder/admin_password")\"}"
keep connections.json "{\"warehouse\": {\"conn_type\": \"postgres\", \"host\": \"warehouse\", \"port\": 5432, \"schema\": \"warehouse\", \"login\": \"warehouse\", \"password\": \"$(cat "$folder/warehouse_password")\"}}"

echo "Secrets are in $folder. Log in to Airflow as admin with the password in $folder/admin_password."
