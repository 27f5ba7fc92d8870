"""Labels of images, and where they are read."""
