#!/usr/bin/env bash
# What .ci/run and .ci/full begin with: Debian packages, uv, the virtual environment. To be sourced in the repository.

export GOLDSMITH_CI=1 # tests that need a Debian package fail without it instead of being skipped
export UV_PYTHON_DOWNLOADS=never

scratch=$(mktemp --directory)
trap 'rm -rf "$scratch"' EXIT

began=0
step() {
    if [ -n "${doing:-}" ]; then printf '== %s took %d s\n' "$doing" "$((SECONDS - began))"; fi
    doing=$1 began=$SECONDS
    printf '\n== %s (after %d s)\n' "$1" "$SECONDS"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

step "Debian packages"
missing=()
command -v git > /dev/null || missing+=(git)
command -v redis-server > /dev/null || missing+=(redis-server)
command -v chromium > /dev/null || command -v google-chrome > /dev/null || missing+=(chromium)
command -v uv > /dev/null || python3 -m pip --version &> /dev/null || missing+=(python3-pip)
if [ ${#missing[@]} -gt 0 ]; then
    as_root apt-get update --quiet=2
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}"
fi
redis-server --version

step "uv and the virtual environment"
if ! command -v uv > /dev/null; then
    python3 -m pip install --quiet "uv>=0.9,<0.14" \
        || python3 -m pip install --quiet --user --break-system-packages "uv>=0.9,<0.14"
    export PATH="$HOME/.local/bin:$PATH"
fi
uv sync --quiet
check() {
    printf '+ %s\n' "$*"
    uv run --no-sync "$@"
}
