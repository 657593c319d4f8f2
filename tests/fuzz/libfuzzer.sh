#!/bin/sh
# libfuzzer.sh CLANG: whether that compiler brings libFuzzer.
set -eu
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
printf 'int LLVMFuzzerTestOneInput(const unsigned char *bytes, unsigned long count) { return bytes && count ? 0 : 0; }\n' >"$folder/probe.c"
"$1" -fsanitize=fuzzer,address,undefined "$folder/probe.c" -o "$folder/probe" 2>/dev/null
