"""The names of the files of a run, and of a folder of a model that ships."""

MODEL = "model.safetensors"
VOCODER = "vocoder.safetensors"
CHECKPOINT = "checkpoint.pt"
