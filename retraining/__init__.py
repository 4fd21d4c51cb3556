"""From networks that were found to trained ones: what retrain.py does."""
