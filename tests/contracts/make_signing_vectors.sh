#!/usr/bin/env bash
# Makes signing-vectors.json from two implementations that are not ours: openssl (below) and Node's crypto (the .mjs).
# The shell joins the parts of each string to sign by itself, so openssl's answers do not depend on Node's.
set -euo pipefail
cd "$(dirname "$0")"
keys=../../keys.example
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

node make_signing_vectors.mjs cases "$work"

for case in "$work"/requests/*; do # <timestamp>,<secret>,<body>
    { cat "$case/timestamp"; printf ','; cat "$case/secret"; printf ','; cat "$case/body"; } |
        openssl dgst -sha256 -sign "$keys/partner-private.pem" | openssl base64 -A > "$case/openssl"
done
for case in "$work"/webhooks/*; do # <timestamp>,<body>
    { cat "$case/timestamp"; printf ','; cat "$case/body"; } |
        openssl dgst -sha256 -sign "$keys/simulator-private.pem" | openssl base64 -A > "$case/openssl"
done
for case in "$work"/svix/*; do # <id>.<timestamp>.<body>
    { cat "$case/id"; printf '.'; cat "$case/timestamp"; printf '.'; cat "$case/body"; } |
        openssl dgst -sha256 -mac HMAC -macopt "hexkey:$(cat "$case/key_hex")" -binary |
        openssl base64 -A > "$case/openssl"
done
for case in "$work"/hmac/*; do # <body>
    openssl dgst -sha256 -mac HMAC -macopt "hexkey:$(cat "$case/key_hex")" -r < "$case/body" |
        cut -d ' ' -f 1 | tr -d '\n' > "$case/openssl"
done

node make_signing_vectors.mjs assemble "$work" > "$work/signing-vectors.json"
mv "$work/signing-vectors.json" signing-vectors.json
