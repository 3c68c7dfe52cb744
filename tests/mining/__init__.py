"""What is exported for process mining: the files by themselves, and as others read them."""
