"""What the application says; forecasters edit this file every day."""

FORECAST = "Sunny spells"
