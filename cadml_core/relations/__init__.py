"""What one part is to another: the same, its mirror image, larger, a part of it, a variant; with evidence."""
