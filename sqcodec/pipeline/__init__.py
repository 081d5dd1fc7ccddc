"""The public verbs: prepare, train, encode, decode. The only package that knows every stage."""
