"""`python -m sqcodec`: the command line."""

from sqcodec.cli.main import program

if __name__ == "__main__":
    program()
