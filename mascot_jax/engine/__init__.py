"""What runs on a device: the native kernels as JAX functions, and what they work on."""
