"""Dispatch on Dask, the workers' chunk loop, retries, limits. The only place that imports dask."""
