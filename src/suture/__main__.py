"""`python -m suture`, which is what launchers of several processes start (`accelerate launch -m suture adapt …`)."""

from suture.cli import main

if __name__ == "__main__":
    main()
