"""Start-up code that every Python process of the tests runs."""
