"""From recordings on disk to a feature store: reading audio, walking corpora, splits, the store, downloads."""
