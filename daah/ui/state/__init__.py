"""What visitors share, and what belongs to one visitor."""
