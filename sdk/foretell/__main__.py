"""``python -m foretell`` is ``sdk``."""

from foretell.cli import main

if __name__ == "__main__":
    main()
