"""Teachers: image models that label camera images for us. Images in, classes or masks out."""
