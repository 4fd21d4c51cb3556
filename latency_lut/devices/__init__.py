"""Where networks are measured: one file a runtime."""
