"""Values that must not be shown: how they are recognised, masked and passed on."""
