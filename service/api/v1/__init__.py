"""The v1 API: the predict call of TensorFlow Serving and KServe V1, with memory."""
