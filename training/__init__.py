"""How weights are learnt: data, the step, the loop, checkpoints and processes."""
