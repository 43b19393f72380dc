"""`python cli.py VERB`: the same as the installed command `wordlm`."""

from wordlm.cli import main

if __name__ == "__main__":
    main()
