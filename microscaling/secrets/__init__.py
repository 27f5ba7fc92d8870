"""Values that must not be shown: their recognition, masking and passing on."""
