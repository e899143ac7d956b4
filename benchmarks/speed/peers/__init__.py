"""What the service is compared with: each peer a file or folder of its own."""
