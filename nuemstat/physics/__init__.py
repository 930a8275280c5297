"""Cross sections and what they need: pure functions of numbers, no files of models, no statistics."""
