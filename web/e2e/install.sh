#!/bin/sh
# Installs the browser that the end-to-end tests drive, when it is missing.
set -eu
if command -v chromium >/dev/null 2>&1; then
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends chromium fonts-liberation
command -v chromium
