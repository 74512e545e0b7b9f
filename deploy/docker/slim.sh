#!/bin/sh
# Take out of a virtual environment what unmask never runs: pip, tests, headers, and OpenVINO's readers and devices of
# other kinds. `sh slim.sh VENV`
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)
libs=$packages/openvino/libs
rm -rf "$packages"/pip "$packages"/pip-* "$packages"/openvino/include "$packages"/openvino/cmake \
    "$packages"/openvino/tools "$packages"/numpy/*/tests "$packages"/numpy/tests "$packages"/pyarrow/tests \
    "$packages"/pyarrow/include "$packages"/pyarrow/src "$packages"/joblib/test
for name in gpu npu auto_batch hetero tensorflow tensorflow_lite paddle pytorch jax; do
    rm -f "$libs"/libopenvino_intel_${name}_plugin.so "$libs"/libopenvino_${name}_plugin.so \
        "$libs"/libopenvino_${name}_frontend.so*
done
find "$packages" -name '*.pyi' -delete
