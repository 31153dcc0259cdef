#!/usr/bin/env bash
# Writes the generated protobuf code; tests/repo/test_schema_protobuf.py checks that it is fresh.
set -euo pipefail
cd "$(dirname "$0")"
python -m grpc_tools.protoc --proto_path=. --python_out="${1:-sensorpipe_schema}" \
    --pyi_out="${1:-sensorpipe_schema}" compacted_reading.proto
