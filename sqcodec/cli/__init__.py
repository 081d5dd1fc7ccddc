"""Click commands: each parses its options, makes one library call and prints the result."""
