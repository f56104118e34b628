"""Where many tasks run: in processes of this machine, or by Dask, Ray or SLURM; one file each."""
