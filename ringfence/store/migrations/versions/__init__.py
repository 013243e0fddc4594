"""One file per revision, in the order of its number; a file never changes once it is released."""
