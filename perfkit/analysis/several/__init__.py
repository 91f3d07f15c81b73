"""What several answers say together: under several loads, of several runs and machines."""
