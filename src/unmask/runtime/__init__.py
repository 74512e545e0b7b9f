"""What our own code runs on: workers of this process, and the one loader of ONNX files."""
