"""One trial on this machine: servers and k6 as processes, their clocks, and what the machine can measure."""
