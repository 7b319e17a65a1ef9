"""`ami pack`: companion standards as data, listed, shown, checked, compared, and laid beside a meter."""
