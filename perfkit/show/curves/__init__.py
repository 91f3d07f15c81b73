"""What curves and maps say in words."""
