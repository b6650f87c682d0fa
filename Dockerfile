# Two bases, one file:
#     docker build .                                                        Astro Runtime (what `astro deploy` does)
#     docker build --build-arg BASE_IMAGE=python:3.12-slim-bookworm .       any image with Python 3.11 to 3.13
# Without internet for dbt's packages: --build-arg DBT_PACKAGES=none
# dbt in an environment of its own, with the versions of deploy/requirements-dbt.txt: --build-arg DBT=apart
ARG BASE_IMAGE=astrocrpublic.azurecr.io/runtime:3.3-8-python-3.12-base
# The Astro CLI reads the Runtime version from the first FROM and knows no ARG there. Nothing builds on this stage.
FROM astrocrpublic.azurecr.io/runtime:3.3-8-python-3.12-base AS astro-runtime

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="goldsmith" \
      org.opencontainers.image.description="dbt on Apache Airflow, one task per model and per test" \
      org.opencontainers.image.licenses="Apache-2.0"
ARG DBT=
ENV AIRFLOW_HOME=/usr/local/airflow \
    DBT_SEND_ANONYMOUS_USAGE_STATS=false \
    GOLDSMITH_DBT=${DBT:+/opt/dbt/bin/dbt} \
    GOLDSMITH_EDR=${DBT:+/opt/dbt/bin/edr} \
    PATH=/opt/goldsmith/bin:${PATH}:/opt/dbt/bin \
    PYTHONUNBUFFERED=1

USER 0
WORKDIR /usr/local/airflow
# Dependencies before sources: an edit of a model or a DAG does not install everything again.
COPY packages.txt requirements.txt ./
COPY deploy/requirements-full.txt deploy/requirements-slim.txt deploy/requirements-dbt.txt deploy/overrides.txt ./deploy/
COPY deploy/image/install-dependencies.sh ./deploy/image/
RUN deploy/image/install-dependencies.sh

# All at once: `astro deploy` may take dags/ out of the build context, and a COPY of that folder would then fail.
COPY --chown=50000:0 . .
RUN deploy/image/install-project.sh

USER 50000
ARG DBT_PACKAGES=install
# `goldsmith manifest` asks dbt what the selections of the specs mean. If dags/ is deployed apart there are no specs here.
# One pipeline that is broken stops the image: its DAG would vanish from an Airflow in which it works now.
RUN if [ "$DBT_PACKAGES" != none ]; then goldsmith deps; fi \
    && if grep -rqs build_dag dags; then goldsmith manifest; \
       elif [ -f dbt_project/profiles.yml ]; then \
         dbt parse --project-dir dbt_project --profiles-dir dbt_project --target prod; fi
