#!/bin/sh
# Install the server; end at the first command that fails, as a chain by && would.
set -eu
apt-get update
apt-get install -y --no-install-recommends nginx curl
rm -rf /var/lib/apt/lists/*
