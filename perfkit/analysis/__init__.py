"""From tables to numbers: intervals over blocks, ratios, when a comparison ends, and what may be concluded."""
