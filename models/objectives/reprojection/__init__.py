"""Pretraining by reprojection: the BEV prediction, seen through each camera, should look like the teacher's labels."""
