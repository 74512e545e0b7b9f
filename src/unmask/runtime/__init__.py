"""What our own code runs on: threads of this process, OpenCV's threads, and the one loader of ONNX files."""
