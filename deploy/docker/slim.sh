#!/bin/sh
# Take out of a virtual environment what unmask never runs: pip, tests, headers, debugging symbols, OpenVINO's readers
# and devices of other kinds, Arrow's network services,
# Amazon's services but storage, and OpenCV's cascades but the one in use. `sh slim.sh VENV`
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)
cd "$packages"
rm -rf pip pip-* openvino/include openvino/cmake openvino/tools openvino/torch openvino/frontend/tensorflow \
    openvino/frontend/pytorch openvino/frontend/paddle openvino/frontend/jax openvino/libs/cache.json \
    pyarrow/include pyarrow/src pyarrow/includes
rm -rf "$1"/bin/pip*
for name in gpu npu; do
    rm -f openvino/libs/libopenvino_intel_${name}_plugin.so
done
for name in auto_batch hetero; do
    rm -f openvino/libs/libopenvino_${name}_plugin.so
done
for name in tensorflow tensorflow_lite paddle pytorch jax gguf; do
    rm -f openvino/libs/libopenvino_${name}_frontend.so*
done
for name in flight s3 gcs azure orc; do
    rm -f pyarrow/libarrow_${name}.so* pyarrow/libarrow_python_${name}.so* pyarrow/_${name}.*.so pyarrow/_${name}fs.*.so
done
if [ -d botocore/data ]; then
    find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts ! -name sso ! -name sso-oidc -exec rm -rf {} +
fi
find cv2/data -name '*.xml' ! -name haarcascade_frontalface_default.xml -delete
# Wheels hold no links: a library of three names lies there three times.
for library in pyarrow/lib*.so.*; do
    for other in pyarrow/lib*.so*; do
        if [ "$library" != "$other" ] && [ ! -L "$library" ] && [ ! -L "$other" ] && cmp -s "$library" "$other"; then
            ln -sf "${library##*/}" "$other"
        fi
    done
done
find . -type d \( -name tests -o -name test -o -name __pycache__ \) -prune -exec rm -rf {} +
find . \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' \) -delete
# What a wheel's libraries carry for debuggers; those that cannot be stripped stay as they are.
if command -v strip >/dev/null; then
    find . -name '*.so*' -type f -exec sh -c 'strip --strip-unneeded -o "$1.stripped" "$1" 2>/dev/null && mv "$1.stripped" "$1" || rm -f "$1.stripped"' _ {} \;
fi
