"""What every room uses: values, times, files shared by processes, the event loop."""
