"""The model file: its vocabulary, its variants, and the compiler that turns it into a workspace."""
