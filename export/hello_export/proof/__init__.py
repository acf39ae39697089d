"""The proof: what PyTorch says, what each engine says, and whether it is the same."""
