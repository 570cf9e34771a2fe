"""Click models: deep learning recommendation models (DLRM) with quantised embedding tables."""
