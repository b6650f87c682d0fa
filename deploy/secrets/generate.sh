#!/usr/bin/env bash
# Make the secret files of docker-compose.yml in this folder, or in the one named as argument.
# What exists is kept: databases were created with it.
set -euo pipefail

folder=${1:-$(dirname "$0")}
mkdir -p "$folder"
chmod 700 "$folder"
umask 022 # containers read the files as another user; the folder keeps everybody else out

random() {
    head -c "$1" /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_'
}

# Airflow does not cut a line's end from what a `_CMD` option prints, so no file ends with one.
keep() {
    if [ -z "$2" ]; then
        echo "No value for the secret $1: are head, base64 and tr there?" >&2
        exit 1
    fi
    if [ ! -e "$folder/$1" ]; then
        printf '%s' "$2" > "$folder/$1"
    elif [ ! -s "$folder/$1" ]; then
        # Others may have been made from it, so it is not filled by itself.
        echo "$folder/$1 is empty. Remove the secrets in $folder and run this again." >&2
        exit 1
    fi
}

# A file that an earlier version made, and a person may have edited since, gets the entry that it lacks.
add() {
    local content rest comma
    content=$(cat "$folder/$1")
    case $content in *"\"$2\""*) return ;; esac
    rest=${content#*\{}
    comma=,
    if [ -z "${rest//[\}[:space:]]/}" ]; then
        comma=
    fi
    printf '%s' "{\"$2\": $3$comma $rest" > "$folder/$1"
}

letters() {
    random 24 | tr -d '=_-'
}

# Values are assigned first: `set -e` does not see a command that fails inside an argument.
for name in metadata_password warehouse_password redis_password admin_password tasks_password; do
    value=$(letters)
    keep "$name" "$value"
done
value=$(random 32)
keep fernet_key "$value"
for name in jwt_secret api_secret_key; do
    value=$(random 64)
    keep "$name" "$value"
done

metadata_password=$(cat "$folder/metadata_password")
warehouse_password=$(cat "$folder/warehouse_password")
redis_password=$(cat "$folder/redis_password")
admin_password=$(cat "$folder/admin_password")
tasks_password=$(cat "$folder/tasks_password")

metadata=airflow:$metadata_password@postgres:5432/airflow
keep sql_alchemy_conn "postgresql+psycopg2://$metadata"
keep result_backend "db+postgresql://$metadata"
keep broker_url "redis://:$redis_password@redis:6379/0"
keep airflow_passwords.json "{\"admin\": \"$admin_password\"}"
keep connections.json "{\"warehouse\": {\"conn_type\": \"postgres\", \"host\": \"warehouse\", \"port\": 5432, \"schema\": \"warehouse\", \"login\": \"warehouse\", \"password\": \"$warehouse_password\"}}"

# The user that tasks log in as, and the Airflow connection by which they do.
add airflow_passwords.json goldsmith "\"$tasks_password\""
add connections.json goldsmith_api "{\"conn_type\": \"http\", \"host\": \"api-server\", \"port\": 8080, \"login\": \"goldsmith\", \"password\": \"$tasks_password\"}"

echo "Secrets are in $folder. Log in to Airflow as admin with the password in $folder/admin_password."
