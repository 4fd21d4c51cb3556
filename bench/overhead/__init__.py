"""What it costs that a network is a member of a supernet, against static networks: one file for each kind of cost."""
