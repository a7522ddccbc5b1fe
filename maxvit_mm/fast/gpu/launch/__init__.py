"""Kernels, started: grids, tiles and memory for what comes out. Imports Triton."""
