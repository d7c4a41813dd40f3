#!/usr/bin/env bash
# A sensor: says its temperature by CoAP over DTLS, as often as somebody has told it to.
#
#   sensor.sh FOLDER COUNT    FOLDER: what `heliograph device add` has made; COUNT: how many temperatures

set -euo pipefail
folder=$1
count=$2
topics=coaps://localhost/t/dev/$(basename "$folder")
myself=(-C "$folder/ca.crt" -c "$folder/chain.crt" -j "$folder/device.key")

# Observes how often it is to speak: the last value comes first, then each change, a line each.
coap-client-openssl "${myself[@]}" -w -s 3600 -B 3600 "$topics/interval" > "$folder/interval" &
observer=$!
trap 'kill $observer 2> /dev/null || true' EXIT

for ((i = 1; i <= count; i++)); do
  coap-client-openssl "${myself[@]}" -m put -t 0 -e "2$((i % 10)).5" "$topics/temperature"
  seconds=$(tail -n 1 "$folder/interval")
  echo "said 2$((i % 10)).5, next in ${seconds:-2} s"
  [ "$i" -eq "$count" ] || sleep "${seconds:-2}"
done
