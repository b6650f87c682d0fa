"""What all pages have in common: one file each, no picture, no font, nothing from elsewhere."""
