"""Labels of images, and the sources of these labels."""
