"""Read models: folds over the log, each with rows and a position of its own."""
