"""The whole way from images to a package for a phone, as one config: python -m pipeline CONFIG --out FOLDER."""
