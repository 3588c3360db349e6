"""`python -m daah`: the command line."""

from daah.cli import app

# Worker processes import this file too, under another name, and must not run a command.
if __name__ == "__main__":
    app(prog_name="python -m daah")
