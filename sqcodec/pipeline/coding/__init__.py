"""From recordings to codes and back: arrays, files and folders."""
