"""What runs inside a contestant's own interpreter: the standard library and the contestant, nothing else."""
