"""The public functions: prepare, train, encode, decode, measure. Only this package imports every stage."""
