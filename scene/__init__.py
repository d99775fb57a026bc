"""What one moment of driving is: frames, rigid transforms, cameras, the BEV grid, label classes."""
