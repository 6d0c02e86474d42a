"""A bridge for flows and services that speak Hermes, as Rhasspy did."""
