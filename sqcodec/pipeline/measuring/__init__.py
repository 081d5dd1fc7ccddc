"""How good a codec is: scores, evaluations, and the tasks of ZeroSpeech 2019."""
