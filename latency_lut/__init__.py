"""What a network costs on a device: measured pieces, their sum, and how far it is from whole networks."""
