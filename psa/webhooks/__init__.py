"""What PSAs tell us: taken at once, judged by the worker, made into tickets that are read again."""
