"""The DVC stages, one thin module each: read inputs, call the library, write outputs."""
