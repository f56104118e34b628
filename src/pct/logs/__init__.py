"""Log files of many formats to named columns in SI units."""
