"""The v2 API: Open Inference, with Triton's sequences."""
