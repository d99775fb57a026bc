"""The embedded world: seeded towns, traffic, the nuScenes rig, a renderer, and a writer of nuScenes-format folders."""
