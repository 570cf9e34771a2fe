"""What the figures' stages share: parameters, folders, the race, and what is made of its times."""
