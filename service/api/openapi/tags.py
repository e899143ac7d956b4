"""The groups of calls, in the order they are shown."""

TAGS = {
    "predict": "TensorFlow Serving's and KServe V1's calls, with memory.",
    "models": "What is served.",
    "sessions": "Memory as a resource.",
    "inference": "Open Inference Protocol v2, with Triton's extensions.",
    "operations": "For supervisors and tools.",
}
