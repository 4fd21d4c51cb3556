"""The way to a phone and back: what travels, who drives it, and what is read of what comes back."""
