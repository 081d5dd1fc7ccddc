"""`python -m sqcodec`: the command line."""

from sqcodec.cli.main import main

if __name__ == "__main__":
    main(prog_name="sqcodec")
