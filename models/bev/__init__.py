"""BEVFormer in plain PyTorch: any BEV grid, any number of cameras, any batch size."""
