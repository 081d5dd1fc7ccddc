"""Models of code sequences: the probability of each next code, for entropy estimates and sampling."""
