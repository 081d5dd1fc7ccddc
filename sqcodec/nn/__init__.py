"""Networks that codecs and vocoders are built of."""
