"""PostgreSQL: sessions of our own, advisory locks, the catalogue."""
